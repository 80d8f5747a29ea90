def report_options(p): pass
def flame_graphs(d):
    from . import sampler
    return {f.stem: sampler.top(sampler.read(f), 30) for f in sorted(d.glob("*.folded"))}
