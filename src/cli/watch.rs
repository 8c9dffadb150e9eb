//! Staying with something: the event stream of one job, and views that refresh until Ctrl+C.

use std::io::{IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags};
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::failure::{Done, Failure, Stop};
use crate::cli::job::Doc;
use crate::cli::output::Output;
use crate::cli::rpc::{self, wait_for};
use crate::client::{self, Step};

/// Fastest refresh.
const FASTEST: Duration = Duration::from_millis(200);

/// The events of one job, as they happen. Nothing here asks twice: a stream that says nothing means
/// that nothing happened.
#[derive(Debug)]
pub(crate) struct Watch {
    stream: client::Stream,
    ended: bool,
}

/// What came from the stream.
#[derive(Debug)]
pub(crate) enum Seen {
    /// An event of the job.
    Event(Value),
    /// The job is in a terminal state, which is the text.
    Ended(String),
    /// The conductor stops, or is gone.
    Closed,
    /// The moment came first.
    Timeout,
}

impl Watch {
    /// Opens the stream for events to come. Another connection may be answered before it is open: who
    /// must not miss anything reads from a number on.
    pub(crate) fn open(cx: &Context, job: &str) -> Result<Self, Stop> {
        Self::open_from(cx, job, None)
    }

    /// Opens the stream with the events that the conductor still remembers from `seq` on.
    pub(crate) fn open_from(cx: &Context, job: &str, seq: Option<u64>) -> Result<Self, Stop> {
        let client = rpc::connect(cx, cx.target())?;
        let stream = client.stream("job.watch", json!({"job_id": job, "from_seq": seq}));
        Ok(Self { stream: stream.map_err(|_| rpc::not_responding(cx.target()))?, ended: false })
    }

    /// The next event. With a moment it returns at the latest then; with none it waits for ever.
    pub(crate) fn next(&mut self, until: Option<Instant>) -> Result<Seen, Stop> {
        if self.ended {
            return Ok(Seen::Closed);
        }
        loop {
            match self.stream.try_next() {
                Ok(Step::Notification(message)) => return Ok(Seen::Event(message.params)),
                Ok(Step::End(result)) => {
                    self.ended = true;
                    return Ok(match Doc(&result).text("status") {
                        "" => Seen::Closed,
                        status => Seen::Ended(status.to_owned()),
                    });
                }
                Ok(Step::Waiting) => {}
                Err(error) => {
                    self.ended = true;
                    return match rpc::error_object(&error) {
                        Some((_, object)) => Err(rpc::failure_of(&object).into()),
                        None => Ok(Seen::Closed),
                    };
                }
            }
            let mut fds = [PollFd::new(self.stream.as_fd(), PollFlags::POLLIN)];
            let ready = wait_for(&mut fds, until)
                .map_err(|error| Failure::new("internal", format!("cannot wait for events: {error}")))?;
            if !ready {
                return Ok(Seen::Timeout);
            }
        }
    }

    /// Waits for a change of the job and leaves out what else has arrived by then: for those who look
    /// at the job's status after it.
    pub(crate) fn changed(&mut self, until: Instant) -> Result<Seen, Stop> {
        let mut seen = self.next(Some(until))?;
        while matches!(seen, Seen::Event(_)) {
            match self.waiting()? {
                Seen::Timeout => break,
                later => seen = later,
            }
        }
        Ok(seen)
    }

    /// An event that has arrived already; never waits.
    pub(crate) fn waiting(&mut self) -> Result<Seen, Stop> {
        self.next(Some(Instant::now()))
    }

    /// The socket, for `poll`.
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// From now on Ctrl+C ends this program with exit status 0: leaving a view is no failure.
pub(crate) fn leave_on_interrupt() -> Result<(), Stop> {
    let always = Arc::new(AtomicBool::new(true));
    signal_hook::flag::register_conditional_shutdown(signal_hook::consts::SIGINT, 0, always)
        .map(drop)
        .map_err(|error| Failure::new("internal", format!("cannot watch for Ctrl+C: {error}")).into())
}

/// A view that is drawn again and again.
#[derive(Debug)]
pub(crate) struct Refresh {
    out: Output,
    interval: Duration,
    last: Option<String>,
}

impl Refresh {
    /// A view that is drawn at this interval.
    pub(crate) fn new(cx: &Context, interval: Duration) -> Result<Self, Stop> {
        if interval < FASTEST {
            return Err(Failure::usage("--interval must be at least 0.2s").into());
        }
        leave_on_interrupt()?;
        Ok(Self { out: cx.out, interval, last: None })
    }

    /// Draws until Ctrl+C or until nobody reads. A conductor that went away is reported and awaited.
    pub(crate) fn every(&mut self, mut view: impl FnMut() -> Result<String, Stop>) -> Done {
        loop {
            match view() {
                Ok(text) => self.draw(&text)?,
                Err(Stop::ClosedPipe) => return Err(Stop::ClosedPipe),
                Err(Stop::Failure(failure)) if failure.exit == crate::cli::failure::USAGE => {
                    return Err(Stop::Failure(failure));
                }
                Err(Stop::Failure(failure)) => self.complain(&failure)?,
            }
            std::thread::sleep(self.interval);
        }
    }

    /// Shows a text: on a terminal in place of the last one, elsewhere only when it is another one.
    pub(crate) fn draw(&mut self, text: &str) -> Result<(), Stop> {
        let terminal = std::io::stdout().is_terminal();
        if self.out.json {
            return self.out.text(text);
        }
        if terminal {
            let seconds = crate::cli::format::wait(self.interval.as_secs_f64());
            let clock = jiff::Zoned::now().strftime("%H:%M:%S").to_string();
            let footer = format!("Last updated: {clock} | Refreshing every {seconds} | Press Ctrl+C to stop");
            return self.out.text(&format!("\u{1b}[H\u{1b}[2J{text}\n{footer}\n"));
        }
        if self.last.as_deref() != Some(text) {
            let gap = if self.last.is_some() { "\n" } else { "" };
            self.out.text(&format!("{gap}{text}"))?;
            self.last = Some(text.to_owned());
        }
        Ok(())
    }

    fn complain(&mut self, failure: &Failure) -> Result<(), Stop> {
        if self.out.json {
            return self.out.document_line(&failure.document());
        }
        if self.last.as_deref() != Some(&failure.message) {
            let mut error = std::io::stderr().lock();
            // A closed standard error is nobody's problem.
            _ = writeln!(error, "Error: {}", failure.message);
            self.last = Some(failure.message.clone());
        }
        Ok(())
    }
}
