//! Signals of a guard as bytes in sockets, so that one poll waits for everything.
//!
//! Handlers and not a blocked mask: a mask is handed on to the program, and TERM would never
//! arrive there. Handlers go back to the default with the program's `exec`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use nix::sys::signal::{SigSet, Signal};
use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

#[derive(Debug)]
pub(super) struct Signals {
    ends: UnixStream,
    children: UnixStream,
    asked: u32,
}

impl Signals {
    pub(super) fn install() -> io::Result<Self> {
        let (ends, wake) = UnixStream::pair()?;
        ends.set_nonblocking(true)?;
        pipe::register(SIGINT, wake.try_clone()?)?;
        pipe::register(SIGTERM, wake)?;
        let (children, wake) = UnixStream::pair()?;
        children.set_nonblocking(true)?;
        pipe::register(SIGCHLD, wake)?;
        // Whoever started us may block signals; neither we nor the program want that.
        let mut mask = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD, Signal::SIGHUP, Signal::SIGPIPE] {
            mask.add(signal);
        }
        mask.thread_unblock()?;
        Ok(Self { ends, children, asked: 0 })
    }

    /// Readable when somebody asked for the end.
    pub(super) fn ends(&self) -> BorrowedFd<'_> {
        self.ends.as_fd()
    }

    /// Readable when a child ended.
    pub(super) fn children(&self) -> BorrowedFd<'_> {
        self.children.as_fd()
    }

    /// How often the end was asked for since the start.
    pub(super) fn asked(&mut self) -> u32 {
        self.asked = self.asked.saturating_add(take(&self.ends));
        self.asked
    }

    /// Forgets what is known of ended children; the caller looks at all of them.
    pub(super) fn clear_children(&self) {
        take(&self.children);
    }
}

/// Takes all bytes and says how many there were.
fn take(from: &UnixStream) -> u32 {
    let mut buffer = [0; 64];
    let mut count = 0;
    while let Ok(more @ 1..) = nix::unistd::read(from, &mut buffer) {
        count += u32::try_from(more).expect("not more than the buffer holds");
    }
    count
}
