"""The model of kqueue against the statements of FreeBSD's manual page kqueue(2)."""

from __future__ import annotations

# Not "suppress" by itself: in a module of tests that name is trial's.
import contextlib
import errno
import os
import socket
import struct
import tempfile

from twisted.internet import posixbase
from twisted.trial.unittest import SynchronousTestCase

from tests.reactors import kqueue_install
from tests.reactors import kqueue_model as kq
from tests.reactors.run import why_lacking

READ = kq.KQ_FILTER_READ
WRITE = kq.KQ_FILTER_WRITE
LOOPBACK = ("127.0.0.1", 0)


class ModelTestCase(SynchronousTestCase):
    """A queue, and descriptors that are closed after the test."""

    if why_lacking("kqueue"):
        skip = why_lacking("kqueue")
    elif kqueue_install.kernel_has_kqueue():
        skip = "the kernel has a kqueue, and the model stands on Linux's poll"

    def setUp(self) -> None:
        self.queue = kq.kqueue()
        self.addCleanup(self.queue.close)

    def socketpair(self) -> tuple[socket.socket, socket.socket]:
        pair = socket.socketpair()
        for end in pair:
            end.setblocking(False)
            self.addCleanup(end.close)
        return pair

    def pipe(self) -> tuple[int, int]:
        ends = os.pipe()
        for end in ends:
            os.set_blocking(end, False)
            self.addCleanup(close_quietly, end)
        return ends

    def listening(self) -> socket.socket:
        listener = socket.create_server(LOOPBACK)
        self.addCleanup(listener.close)
        return listener

    def connected(self) -> tuple[socket.socket, socket.socket]:
        """:returns: the two ends of a TCP connection."""
        listener = self.listening()
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        for end in (client, server):
            end.setblocking(False)
            self.addCleanup(end.close)
        return client, server

    def change(
        self, ident: int | socket.socket, filter_: int, flags: int, udata: int = 0
    ) -> None:
        change = kq.kevent(ident, filter_, flags, udata=udata)
        self.assertEqual(self.queue.control([change], 0), [])

    def add(self, ident: int | socket.socket, filter_: int, flags: int = 0) -> None:
        self.change(ident, filter_, kq.KQ_EV_ADD | flags)

    def take(self, max_events: int = 10) -> list[kq.KEvent]:
        return self.queue.control(None, max_events, 0)

    def take_one(self) -> kq.KEvent:
        (event,) = self.take()
        return event

    def taken(self) -> list[tuple[object, int]]:
        return [(event.ident, event.filter) for event in self.take()]

    def assert_refused(self, number: int, change: kq.KEvent) -> None:
        with self.assertRaises(OSError) as caught:
            self.queue.control([change], 0)
        self.assertEqual(caught.exception.errno, number)


def close_quietly(fd: int) -> None:
    with contextlib.suppress(OSError):
        os.close(fd)


def fill(sock: socket.socket) -> None:
    """Write until nothing more fits."""
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.send(bytes(65536))


def reset(sock: socket.socket) -> None:
    """Close so that the other side is told of a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class IdentityTests(ModelTestCase):
    """A kevent is identified by the (ident, filter) pair."""

    def test_two_filters_two_events(self) -> None:
        """One descriptor with two filters is two events, which are not merged."""
        here, there = self.socketpair()
        there.send(b"x")
        self.add(here, READ)
        self.add(here, WRITE)
        fd = here.fileno()
        self.assertEqual(self.taken(), [(fd, READ), (fd, WRITE)])

    def test_filters_are_numbers(self) -> None:
        """Filters are negative numbers, of which an OR is another filter's number."""
        self.assertEqual((READ, WRITE), (-1, -2))
        self.assertEqual(READ | WRITE, READ)
        here, _ = self.socketpair()
        self.add(here, READ | WRITE)
        self.assert_refused(errno.ENOENT, kq.kevent(here, WRITE, kq.KQ_EV_DELETE))

    def test_unique(self) -> None:
        """There is one unique kevent per pair: adding it again makes no second."""
        here, there = self.socketpair()
        there.send(b"x")
        self.add(here, READ)
        self.add(here, READ)
        self.assertEqual(self.taken(), [(here.fileno(), READ)])
        self.change(here, READ, kq.KQ_EV_DELETE)
        self.assertEqual(self.taken(), [])

    def test_aggregated(self) -> None:
        """Several triggers of a filter are aggregated into a single kevent."""
        here, there = self.socketpair()
        self.add(here, READ)
        for _ in range(3):
            there.send(b"xy")
        self.assertEqual(self.take_one().data, 6)

    def test_queues_apart(self) -> None:
        """The same pair in another queue is another event."""
        here, there = self.socketpair()
        there.send(b"x")
        self.add(here, READ)
        other = kq.kqueue()
        self.addCleanup(other.close)
        self.assertEqual(other.control(None, 10, 0), [])

    def test_udata(self) -> None:
        """The user's data value is passed through unchanged; a change replaces it."""
        here, _ = self.socketpair()
        self.change(here, WRITE, kq.KQ_EV_ADD, udata=7)
        self.assertEqual(self.take_one().udata, 7)
        self.change(here, WRITE, kq.KQ_EV_ENABLE, udata=8)
        self.assertEqual(self.take_one().udata, 8)


class RetrievalTests(ModelTestCase):
    """When events are placed on the queue, and taken from it."""

    def test_preexisting(self) -> None:
        """The filter is run on registration, to find a condition already there."""
        here, there = self.socketpair()
        there.send(b"x")
        self.add(here, READ)
        self.assertEqual(self.taken(), [(here.fileno(), READ)])

    def test_no_longer_holds(self) -> None:
        """A condition that no longer holds on retrieval is not returned."""
        here, there = self.socketpair()
        there.send(b"x")
        self.add(here, READ)
        self.assertEqual(len(self.take()), 1)
        here.recv(10)
        self.assertEqual(self.take(), [])

    def test_level(self) -> None:
        """Without EV_CLEAR the current state is reported for as long as it holds."""
        here, there = self.socketpair()
        there.send(b"x")
        self.add(here, READ)
        self.assertEqual([len(self.take()) for _ in range(3)], [1, 1, 1])

    def test_changes_first(self) -> None:
        """All changes are applied before any pending events are read."""
        here, there = self.socketpair()
        there.send(b"x")
        self.add(here, READ)
        delete = kq.kevent(here, READ, kq.KQ_EV_DELETE)
        add = kq.kevent(here, WRITE, kq.KQ_EV_ADD)
        (event,) = self.queue.control([delete, add], 10, 0)
        self.assertEqual(event.filter, WRITE)

    def test_no_room(self) -> None:
        """With room for no events kevent returns at once, whatever the time limit."""
        here, there = self.socketpair()
        there.send(b"x")
        self.add(here, READ)
        self.assertEqual(self.queue.control(None, 0, None), [])

    def test_poll(self) -> None:
        """A time limit of zero is a poll: an expired limit returns no events."""
        here, _ = self.socketpair()
        self.add(here, READ)
        self.assertEqual(self.queue.control(None, 10, 0), [])
        self.assertEqual(self.queue.control(None, 10, 0.001), [])

    def test_waits(self) -> None:
        """Without a time limit kevent waits for an event, and returns it."""
        here, _ = self.socketpair()
        self.add(here, READ)
        self.add(here, WRITE)
        events = self.queue.control(None, 10, None)
        self.assertEqual([event.filter for event in events], [WRITE])

    def test_fair(self) -> None:
        """With less room than events, each gets its turn."""
        ends = [self.socketpair()[0] for _ in range(3)]
        for end in ends:
            self.add(end, WRITE)
        seen = [event.ident for _ in range(3) for event in self.take(2)]
        one, two, three = (end.fileno() for end in ends)
        self.assertEqual(seen, [one, two, three, one, two, three])

    def test_unconnected(self) -> None:
        """A socket that is not connected neither ended nor can be written to."""
        sock = socket.socket()
        self.addCleanup(sock.close)
        self.add(sock, READ)
        self.add(sock, WRITE)
        self.assertEqual(self.queue.control(None, 10, 0.001), [])


class FlagTests(ModelTestCase):
    """The actions in the flags field."""

    def test_delete(self) -> None:
        """EV_DELETE removes the event, and no other filter of the descriptor."""
        here, there = self.socketpair()
        there.send(b"x")
        self.add(here, READ)
        self.add(here, WRITE)
        self.change(here, WRITE, kq.KQ_EV_DELETE)
        self.assertEqual(self.taken(), [(here.fileno(), READ)])

    def test_not_registered(self) -> None:
        """ENOENT: the event could not be found to be modified or deleted."""
        here, _ = self.socketpair()
        self.add(here, READ)
        for flags in (kq.KQ_EV_DELETE, kq.KQ_EV_ENABLE, kq.KQ_EV_DISABLE):
            self.assert_refused(errno.ENOENT, kq.kevent(here, WRITE, flags))

    def test_deleted_twice(self) -> None:
        """A second EV_DELETE of the same event fails with ENOENT."""
        here, _ = self.socketpair()
        self.add(here, READ)
        self.change(here, READ, kq.KQ_EV_DELETE)
        self.assert_refused(errno.ENOENT, kq.kevent(here, READ, kq.KQ_EV_DELETE))

    def test_disable(self) -> None:
        """EV_DISABLE keeps the event from being returned, until EV_ENABLE."""
        here, _ = self.socketpair()
        self.add(here, WRITE)
        self.assertEqual(len(self.take()), 1)
        self.change(here, WRITE, kq.KQ_EV_DISABLE)
        self.assertEqual(self.take(), [])
        self.change(here, WRITE, kq.KQ_EV_ENABLE)
        self.assertEqual(len(self.take()), 1)

    def test_add_enables(self) -> None:
        """Adding enables an event, unless overridden by EV_DISABLE."""
        here, _ = self.socketpair()
        self.add(here, WRITE, kq.KQ_EV_DISABLE)
        self.assertEqual(self.take(), [])
        self.add(here, WRITE)
        self.assertEqual(len(self.take()), 1)

    def test_oneshot(self) -> None:
        """EV_ONESHOT deletes the event after it was retrieved once."""
        here, _ = self.socketpair()
        self.add(here, WRITE, kq.KQ_EV_ONESHOT)
        self.assertTrue(self.take_one().flags & kq.KQ_EV_ONESHOT)
        self.assertEqual(self.take(), [])
        self.assert_refused(errno.ENOENT, kq.kevent(here, WRITE, kq.KQ_EV_DELETE))

    def test_clear(self) -> None:
        """EV_CLEAR resets the state on retrieval: only something new is reported."""
        here, there = self.socketpair()
        self.add(here, READ, kq.KQ_EV_CLEAR)
        self.assertEqual(self.take(), [])
        there.send(b"x")
        self.assertEqual(self.take_one().data, 1)
        self.assertEqual(self.take(), [])
        there.send(b"yz")
        self.assertEqual(self.take_one().data, 3)
        self.assertEqual(self.take(), [])

    def test_clear_preexisting(self) -> None:
        """With EV_CLEAR too, registration finds what is there already."""
        here, there = self.socketpair()
        there.send(b"x")
        self.add(here, READ, kq.KQ_EV_CLEAR)
        self.assertEqual(len(self.take()), 1)
        self.assertEqual(self.take(), [])

    def test_clear_added_again(self) -> None:
        """Adding again runs the filter again, and finds what is still there."""
        here, there = self.socketpair()
        there.send(b"x")
        self.add(here, READ, kq.KQ_EV_CLEAR)
        self.assertEqual([len(self.take()) for _ in range(2)], [1, 0])
        self.add(here, READ, kq.KQ_EV_CLEAR)
        self.assertEqual([len(self.take()) for _ in range(2)], [1, 0])

    def test_clear_while_disabled(self) -> None:
        """The filter of a disabled event is not itself disabled."""
        here, there = self.socketpair()
        self.add(here, READ, kq.KQ_EV_CLEAR | kq.KQ_EV_DISABLE)
        there.send(b"x")
        self.assertEqual(self.take(), [])
        self.change(here, READ, kq.KQ_EV_ENABLE)
        self.assertEqual(len(self.take()), 1)


class CloseTests(ModelTestCase):
    """Closing a descriptor removes the kevents that reference it."""

    def test_removed(self) -> None:
        """A closed descriptor is not reported any more."""
        here, there = self.socketpair()
        there.send(b"x")
        self.add(here, READ)
        self.add(here, WRITE)
        here.close()
        self.assertEqual(self.take(), [])

    def test_removed_despite_duplicate(self) -> None:
        """The number that was closed leaves, though its file is open elsewhere."""
        here, there = self.socketpair()
        there.send(b"x")
        self.add(here, READ)
        duplicate = here.dup()
        self.addCleanup(duplicate.close)
        here.close()
        self.assertEqual(self.queue.control(None, 10, 0.001), [])

    def test_number_used_again(self) -> None:
        """A descriptor opened under the number of a closed one has no events."""
        here, there = self.socketpair()
        self.add(here, READ)
        self.add(here, WRITE)
        number = here.fileno()
        other, peer = self.socketpair()
        peer.send(b"x")
        there.close()
        os.dup2(other.fileno(), number)
        self.assertEqual(self.take(), [])
        self.assert_refused(errno.ENOENT, kq.kevent(number, READ, kq.KQ_EV_DELETE))
        self.add(number, READ)
        self.assertEqual(self.taken(), [(number, READ)])

    def test_number_used_again_at_once(self) -> None:
        """No call between the close and a change is needed to tell the two apart."""
        here, _ = self.socketpair()
        other, peer = self.socketpair()
        self.add(here, READ, kq.KQ_EV_ONESHOT)
        os.dup2(other.fileno(), here.fileno())
        self.assert_refused(errno.ENOENT, kq.kevent(here, READ, kq.KQ_EV_DELETE))
        self.add(here, READ)
        peer.send(b"x")
        self.assertEqual([len(self.take()) for _ in range(2)], [1, 1])

    def test_other_end_under_same_number(self) -> None:
        """The two ends of a pipe are two files, though they share an inode."""
        reader, writer = self.pipe()
        self.add(writer, WRITE)
        os.dup2(reader, writer)
        self.assertEqual(self.take(), [])

    def test_back_again(self) -> None:
        """A number that left may come back with the same file, and starts anew."""
        here, there = self.socketpair()
        number = here.fileno()
        duplicate = here.dup()
        self.addCleanup(duplicate.close)
        self.add(here, READ)
        there.send(b"x")
        here.close()
        self.assertEqual(self.take(), [])
        os.dup2(duplicate.fileno(), number)
        self.addCleanup(close_quietly, number)
        self.assertEqual(self.take(), [])
        self.add(number, READ)
        self.assertEqual(self.taken(), [(number, READ)])

    def test_delete_of_closed(self) -> None:
        """EBADF: the specified descriptor is invalid."""
        here, _ = self.socketpair()
        self.add(here, READ)
        number = here.fileno()
        here.close()
        for flags in (kq.KQ_EV_DELETE, kq.KQ_EV_ADD):
            self.assert_refused(errno.EBADF, kq.kevent(number, READ, flags))


class ReadFilterTests(ModelTestCase):
    """EVFILT_READ."""

    def test_bytes(self) -> None:
        """For a socket, data has the number of bytes available to read."""
        here, there = self.connected()
        there.send(b"12345")
        self.add(here, READ)
        event = self.take_one()
        self.assertEqual((event.data, event.fflags), (5, 0))
        self.assertFalse(event.flags & kq.KQ_EV_EOF)

    def test_listening(self) -> None:
        """A listening socket returns when a connection is pending; data counts them."""
        listener = self.listening()
        self.add(listener, READ)
        self.assertEqual(self.take(), [])
        for count in (1, 2):
            client = socket.create_connection(listener.getsockname())
            self.addCleanup(client.close)
            self.assertEqual(self.take_one().data, count)

    def test_eof(self) -> None:
        """When the read direction is shut, the filter sets EV_EOF in flags."""
        for here, there in (self.socketpair(), self.connected()):
            self.add(here, READ)
            there.shutdown(socket.SHUT_WR)
            event = self.take_one()
            self.assertTrue(event.flags & kq.KQ_EV_EOF)
            self.assertEqual((event.data, event.fflags), (0, 0))
            self.change(here, READ, kq.KQ_EV_DELETE)

    def test_eof_with_data(self) -> None:
        """EOF can be returned while data is still pending in the socket buffer."""
        for here, there in (self.socketpair(), self.connected()):
            there.send(b"last")
            there.close()
            self.add(here, READ)
            event = self.take_one()
            self.assertTrue(event.flags & kq.KQ_EV_EOF)
            self.assertEqual(event.data, 4)
            self.assertEqual(here.recv(10), b"last")
            self.change(here, READ, kq.KQ_EV_DELETE)

    def test_error(self) -> None:
        """With EOF the socket error is in fflags, and still the program's to read."""
        here, there = self.connected()
        self.add(here, READ)
        reset(there)
        event = self.take_one()
        self.assertTrue(event.flags & kq.KQ_EV_EOF)
        self.assertEqual(event.fflags, errno.ECONNRESET)
        error = here.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self.assertEqual(error, errno.ECONNRESET)

    def test_refused(self) -> None:
        """A refused connection: the read filter first, then the write filter."""
        listener = self.listening()
        address = listener.getsockname()
        listener.close()
        client = socket.socket()
        self.addCleanup(client.close)
        client.setblocking(False)
        client.connect_ex(address)
        self.add(client, READ)
        self.add(client, WRITE)
        events = self.queue.control(None, 10, 5)
        self.assertEqual([event.filter for event in events], [READ, WRITE])
        for event in events:
            self.assertTrue(event.flags & kq.KQ_EV_EOF)
            self.assertEqual(event.fflags, errno.ECONNREFUSED)

    def test_pipe(self) -> None:
        """For a pipe, data has the bytes available; EV_EOF when the writer left."""
        reader, writer = self.pipe()
        self.add(reader, READ)
        self.assertEqual(self.take(), [])
        os.write(writer, b"abc")
        self.assertEqual(self.take_one().data, 3)
        os.close(writer)
        event = self.take_one()
        self.assertTrue(event.flags & kq.KQ_EV_EOF)
        self.assertEqual(event.data, 3)


class WriteFilterTests(ModelTestCase):
    """EVFILT_WRITE."""

    def test_room(self) -> None:
        """It returns whenever one can write; data is the room in the buffer."""
        here, _ = self.socketpair()
        self.add(here, WRITE)
        before = self.take_one().data
        here.send(bytes(1000))
        self.assertLess(self.take_one().data, before)

    def test_full(self) -> None:
        """It does not return while nothing can be written."""
        here, there = self.socketpair()
        self.add(here, WRITE)
        fill(here)
        self.assertEqual(self.take(), [])
        with contextlib.suppress(BlockingIOError):
            while there.recv(1 << 20):
                pass
        self.assertEqual(self.taken(), [(here.fileno(), WRITE)])

    def test_connecting(self) -> None:
        """A connection that was made can be written to."""
        listener = self.listening()
        client = socket.socket()
        self.addCleanup(client.close)
        client.setblocking(False)
        client.connect_ex(listener.getsockname())
        self.add(client, WRITE)
        (event,) = self.queue.control(None, 10, 5)
        self.assertFalse(event.flags & kq.KQ_EV_EOF)

    def test_reader_gone(self) -> None:
        """EV_EOF is set when the reader disconnects."""
        here, there = self.socketpair()
        self.add(here, WRITE)
        there.close()
        self.assertTrue(self.take_one().flags & kq.KQ_EV_EOF)

    def test_half_closed_peer(self) -> None:
        """A peer that only ended its writing still reads: no EV_EOF."""
        here, there = self.connected()
        self.add(here, WRITE)
        there.shutdown(socket.SHUT_WR)
        self.assertFalse(self.take_one().flags & kq.KQ_EV_EOF)

    def test_own_shutdown(self) -> None:
        """EV_EOF is set when this side's write direction is shut."""
        for here, _ in (self.socketpair(), self.connected()):
            self.add(here, WRITE)
            here.shutdown(socket.SHUT_WR)
            self.assertTrue(self.take_one().flags & kq.KQ_EV_EOF)
            self.change(here, WRITE, kq.KQ_EV_DELETE)

    def test_pipe(self) -> None:
        """For a pipe, data has the room, and EV_EOF says that the reader left."""
        reader, writer = self.pipe()
        self.add(writer, WRITE)
        self.assertEqual(self.take_one().flags & kq.KQ_EV_EOF, 0)
        os.close(reader)
        event = self.take_one()
        self.assertEqual((event.flags & kq.KQ_EV_EOF, event.data), (kq.KQ_EV_EOF, 0))

    def test_broken_pipe(self) -> None:
        """Adding the filter to a pipe without reader fails with EPIPE (the kernel)."""
        reader, writer = self.pipe()
        os.close(reader)
        self.assert_refused(errno.EPIPE, kq.kevent(writer, WRITE, kq.KQ_EV_ADD))


class ErrorTests(ModelTestCase):
    """Return values and errors."""

    def test_reported_with_room(self) -> None:
        """With room a failed change is an event: EV_ERROR, and the error in data."""
        here, there = self.socketpair()
        there.send(b"x")
        add = kq.kevent(here, READ, kq.KQ_EV_ADD)
        wrong = kq.kevent(here, WRITE, kq.KQ_EV_DELETE, udata=3)
        (failed,) = self.queue.control([add, wrong], 10, 0)
        self.assertEqual((failed.ident, failed.filter), (here.fileno(), WRITE))
        self.assertEqual(failed.flags, kq.KQ_EV_ERROR)
        self.assertEqual((failed.data, failed.udata), (errno.ENOENT, 3))
        self.assertEqual(self.taken(), [(here.fileno(), READ)])

    def test_raised_without_room(self) -> None:
        """Without room it is raised; the changes before it stay, those after do not."""
        here, there = self.socketpair()
        there.send(b"x")
        changes = [
            kq.kevent(here, READ, kq.KQ_EV_ADD),
            kq.kevent(here, WRITE, kq.KQ_EV_DELETE),
            kq.kevent(there, WRITE, kq.KQ_EV_ADD),
        ]
        with self.assertRaises(FileNotFoundError):
            self.queue.control(changes, 0, 0)
        self.assertEqual(self.taken(), [(here.fileno(), READ)])

    def test_bad_descriptor(self) -> None:
        """EBADF: the specified descriptor is invalid, whatever the change."""
        for ident in (-1, 1_000_000):
            for flags in (kq.KQ_EV_ADD, kq.KQ_EV_DELETE):
                self.assert_refused(errno.EBADF, kq.kevent(ident, READ, flags))

    def test_bad_filter(self) -> None:
        """EINVAL: the specified filter is invalid; no filter is zero or positive."""
        here, _ = self.socketpair()
        for filter_ in (0, 1, 3, -100):
            self.assert_refused(errno.EINVAL, kq.kevent(here, filter_, kq.KQ_EV_ADD))

    def test_bad_arguments(self) -> None:
        """As Python's select module: no negative length or time, kevents only."""
        with self.assertRaises(ValueError):
            self.queue.control(None, -1, 0)
        with self.assertRaises(ValueError):
            self.queue.control(None, 1, -1)
        with self.assertRaises(TypeError):
            self.queue.control([object()], 1, 0)  # type: ignore[list-item]

    def test_closed_queue(self) -> None:
        """A closed queue says so, and a second close is no error."""
        self.assertFalse(self.queue.closed)
        self.queue.close()
        self.queue.close()
        self.assertTrue(self.queue.closed)
        for call in (self.take, self.queue.fileno):
            with self.assertRaises(ValueError):
                call()

    def test_not_inherited(self) -> None:
        """The queue is not inherited by a child created with fork."""
        self.patch(os, "getpid", lambda: -1)
        with self.assertRaises(OSError) as caught:
            self.take()
        self.assertEqual(caught.exception.errno, errno.EBADF)

    def test_not_modelled(self) -> None:
        """What the model does not know is refused aloud, never answered wrongly."""
        here, _ = self.socketpair()
        with tempfile.TemporaryFile() as plain:
            for change in (
                kq.kevent(here, kq.KQ_FILTER_TIMER, kq.KQ_EV_ADD),
                kq.kevent(here, READ, kq.KQ_EV_ADD, kq.KQ_NOTE_LOWAT, 10),
                kq.kevent(here, READ, kq.KQ_EV_ADD | 0x80),
                kq.kevent(plain.fileno(), READ, kq.KQ_EV_ADD),
            ):
                with self.assertRaises(NotImplementedError):
                    self.queue.control([change], 0)
        self.add(here, READ)
        with self.assertRaises(NotImplementedError):
            self.add(here, READ, kq.KQ_EV_CLEAR)


class EventTests(SynchronousTestCase):
    """``kevent`` as Python's select module has it."""

    def test_defaults(self) -> None:
        """An event is to add the read filter, if nothing else is said."""
        event = kq.kevent(3)
        self.assertEqual((event.filter, event.flags), (READ, kq.KQ_EV_ADD))
        self.assertEqual((event.fflags, event.data, event.udata), (0, 0, 0))

    def test_compared(self) -> None:
        """Events compare by their fields in order."""
        self.assertEqual(kq.kevent(3, WRITE), kq.kevent(3, WRITE))
        self.assertLess(kq.kevent(3, WRITE), kq.kevent(3, READ))

    def test_fileno(self) -> None:
        """The identifier may be an object with a descriptor."""
        with socket.socket() as sock:
            self.assertEqual(kq.kevent(sock).ident, sock.fileno())


class InstallTests(SynchronousTestCase):
    """Twisted's kqreactor over the model."""

    if kqueue_install.kernel_has_kqueue():
        skip = "the kernel has a kqueue, and Twisted uses it"

    def test_twisteds_own(self) -> None:
        """Only kqreactor sees the model; ``select`` itself stays what it is."""
        import select
        import selectors

        kqreactor = kqueue_install.load_kqreactor()
        self.assertIs(kqreactor.select, kq)
        self.assertTrue(issubclass(kqreactor.KQueueReactor, posixbase.PosixReactorBase))
        self.assertFalse(hasattr(select, "kqueue"))
        self.assertFalse(hasattr(selectors, "KqueueSelector"))
        self.assertIs(kqueue_install.load_kqreactor(), kqreactor)
