//! Many clients on one thread, each with one request in flight: the same load for the program and
//! for the references, cheap enough to leave the other core to them.

use std::io::{ErrorKind, Read as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use mio::net::UnixStream;
use mio::{Events, Interest, Poll, Token};

use crate::conductor::Client;

/// What a load achieved.
pub(crate) struct Load {
    /// Answers received.
    pub(crate) replies: usize,
    /// Time from the first request to the last answer.
    pub(crate) took: Duration,
}

impl Load {
    /// Answers per second.
    pub(crate) fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "millions at most")]
        let replies = self.replies as f64;
        replies / self.took.as_secs_f64()
    }
}

struct Conn {
    stream: UnixStream,
    buf: Vec<u8>,
    busy: bool,
}

/// Keeps `clients` connections busy. `next` gives the next request line (`None`: no more for
/// anybody), `accept` says whether an answer is the expected one.
pub(crate) fn drive(
    socket: &Path,
    clients: usize,
    mut next: impl FnMut() -> Option<Vec<u8>>,
    accept: impl Fn(&[u8]) -> bool,
) -> Result<Load> {
    let mut poll = Poll::new()?;
    let mut conns = Vec::with_capacity(clients);
    for index in 0..clients {
        // Connected while it blocks: a full listen queue makes it wait instead of fail.
        let stream = std::os::unix::net::UnixStream::connect(socket).context("cannot connect")?;
        stream.set_nonblocking(true)?;
        let mut stream = UnixStream::from_std(stream);
        poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
        conns.push(Conn { stream, buf: Vec::new(), busy: false });
    }
    let begin = Instant::now();
    let mut replies = 0;
    let mut busy = 0;
    for conn in &mut conns {
        busy += usize::from(send(conn, &mut next)?);
    }
    let mut events = Events::with_capacity(clients.max(16));
    let mut chunk = vec![0; 65_536];
    while busy > 0 {
        poll.poll(&mut events, Some(Duration::from_secs(30)))?;
        if events.is_empty() {
            bail!("{busy} of {clients} clients got no answer for 30 seconds");
        }
        for event in &events {
            let conn = &mut conns[event.token().0];
            loop {
                match conn.stream.read(&mut chunk) {
                    Ok(0) => bail!("a client was disconnected"),
                    Ok(len) => conn.buf.extend_from_slice(&chunk[..len]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) => return Err(error).context("cannot read an answer"),
                }
                if conn.busy && conn.buf.last() == Some(&b'\n') {
                    if !accept(&conn.buf) {
                        bail!("unexpected answer: {}", String::from_utf8_lossy(&conn.buf).trim());
                    }
                    conn.buf.clear();
                    replies += 1;
                    if !send(conn, &mut next)? {
                        busy -= 1;
                    }
                }
            }
        }
    }
    Ok(Load { replies, took: begin.elapsed() })
}

fn send(conn: &mut Conn, next: &mut impl FnMut() -> Option<Vec<u8>>) -> Result<bool> {
    let Some(line) = next() else {
        conn.busy = false;
        return Ok(false);
    };
    // One small line into an empty socket buffer always fits.
    conn.stream.write_all(&line).context("cannot send a request")?;
    conn.busy = true;
    Ok(true)
}

/// The same line again and again for a while.
pub(crate) fn drive_for(socket: &Path, clients: usize, line: &[u8], window: Duration) -> Result<Load> {
    let end = Instant::now() + window;
    let next = || (Instant::now() < end).then(|| line.to_vec());
    let error = memchr::memmem::Finder::new(b"\"error\":");
    drive(socket, clients, next, |answer| error.find(answer).is_none())
}

/// Answer times of one blocking client, sorted.
pub(crate) fn latencies(socket: &Path, line: &[u8], count: usize) -> Result<Vec<Duration>> {
    let mut client = Client::connect(socket)?;
    for _ in 0..count / 10 + 1 {
        client.exchange(line)?;
    }
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let begin = Instant::now();
        client.exchange(line)?;
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    Ok(times)
}
