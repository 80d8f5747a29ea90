"""What hypothesis draws from."""

from __future__ import annotations

from hypothesis import strategies as st

from skynet_tw.seri import LightUserdata, OddKey

#: Values without an inside, but None.
scalars = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(max_size=40)
    | st.builds(LightUserdata, st.integers(0, 2**64 - 1))
)

#: Keys that a table may have, and more than a dict would like.
keys = (
    st.text(max_size=8)
    | st.integers(-1, 6)
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.builds(LightUserdata, st.integers(0, 2**64 - 1))
    | st.builds(OddKey, st.booleans() | st.lists(st.text(max_size=2), max_size=2))
)

#: Whatever pack takes.
values = st.recursive(
    st.none() | scalars,
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5)
    ),
    max_leaves=20,
)

#: What comes back as exactly the same: nothing that is None, or a list by its keys.
plain_values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=5)
        | st.dictionaries(st.text(max_size=8), inner, max_size=5)
    ),
    max_leaves=20,
)
