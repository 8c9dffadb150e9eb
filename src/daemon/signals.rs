//! TERM, INT and HUP become messages to a thread; the handlers themselves only write a byte.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{self, JoinHandle};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::SigId;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};

/// A signal that a conductor acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Stop.
    Term,
    /// Stop.
    Int,
    /// Open the log anew.
    Hup,
}

impl Signal {
    /// `TERM`, `INT`, `HUP`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Term => "TERM",
            Self::Int => "INT",
            Self::Hup => "HUP",
        }
    }
}

const ALL: [(Signal, i32); 3] = [(Signal::Term, SIGTERM), (Signal::Int, SIGINT), (Signal::Hup, SIGHUP)];

/// Installed handlers. Signals that arrive before [`Signals::listen`] wait in the pipes.
#[derive(Debug)]
pub struct Signals {
    pipes: Vec<(Signal, UnixStream)>,
    handlers: Vec<SigId>,
}

impl Signals {
    /// Replaces the default actions, HUP's deadly one included.
    pub fn install() -> io::Result<Self> {
        let mut signals = Self { pipes: Vec::new(), handlers: Vec::new() };
        for (signal, number) in ALL {
            let (reader, writer) = UnixStream::pair()?;
            reader.set_nonblocking(true)?;
            signals.handlers.push(signal_hook::low_level::pipe::register(number, writer)?);
            signals.pipes.push((signal, reader));
        }
        // A file that reaches its limit is an error of that write, as on a full disk, and not the end
        // of the conductor. A handler, because programs would inherit that the signal is ignored.
        let unread = Arc::new(AtomicBool::new(false));
        signals.handlers.push(signal_hook::flag::register(SIGXFSZ, unread)?);
        Ok(signals)
    }

    /// Calls `on_signal` from a thread of its own for every signal, until the listener is dropped.
    pub fn listen(self, mut on_signal: impl FnMut(Signal) + Send + 'static) -> io::Result<Listener> {
        let (stop, stopped) = UnixStream::pair()?;
        let thread = thread::Builder::new().name("mz-signals".to_owned()).spawn(move || {
            while let Some(arrived) = self.next(&stopped) {
                for signal in arrived {
                    on_signal(signal);
                }
            }
        })?;
        Ok(Listener { stop: Some(stop), thread: Some(thread) })
    }

    /// Waits for signals; `None` once the listener is gone.
    fn next(&self, stopped: &UnixStream) -> Option<Vec<Signal>> {
        let mut fds: Vec<PollFd<'_>> = vec![PollFd::new(stopped.as_fd(), PollFlags::POLLIN)];
        fds.extend(self.pipes.iter().map(|(_, pipe)| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)));
        loop {
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) => break,
                Err(nix::errno::Errno::EINTR) => {}
                Err(_) => return None,
            }
        }
        if fds[0].any() == Some(true) {
            return None;
        }
        let mut arrived = Vec::new();
        for (signal, pipe) in &self.pipes {
            let mut bytes = [0; 16];
            if let Ok(count) = (&*pipe).read(&mut bytes) {
                arrived.extend(std::iter::repeat_n(*signal, count));
            }
        }
        Some(arrived)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for handler in self.handlers.drain(..) {
            signal_hook::low_level::unregister(handler);
        }
    }
}

/// The thread that waits for signals. Dropping it ends the thread.
#[derive(Debug)]
pub struct Listener {
    // Closing our end is what makes the thread return.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by the panic hook.
            _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_signal_reaches_the_thread_and_the_thread_ends_with_its_owner() {
        let signals = Signals::install().unwrap();
        // Raised before anybody listens: it waits.
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGHUP).unwrap();
        let (sender, receiver) = crossbeam_channel::unbounded();
        let listener = signals.listen(move |signal| sender.send(signal).unwrap()).unwrap();
        assert_eq!(receiver.recv_timeout(Duration::from_secs(10)), Ok(Signal::Hup));
        drop(listener);
        assert!(receiver.recv().is_err(), "the thread has let go of its end");
    }
}
