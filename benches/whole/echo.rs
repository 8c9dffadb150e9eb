//! The references for the wire: the least that an event loop, and an event loop with two workers,
//! need to answer a line with a line. They run as processes of their own, like the conductor.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use mio::net::{UnixListener, UnixStream};
use mio::{Events, Interest, Poll, Token, Waker};

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);
const BARE: &str = "__echo";
const WORKERS: &str = "__echo-workers";

/// A running reference server; dropping it ends it.
pub(crate) struct Echo {
    child: Child,
    dir: tempfile::TempDir,
}

impl Echo {
    /// Answers every line with a line of `reply_len` bytes on the event loop itself, or, `through_workers`,
    /// by way of a channel to two threads and back.
    pub(crate) fn start(reply_len: usize, through_workers: bool) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("mozart-echo-").tempdir()?;
        let mode = if through_workers { WORKERS } else { BARE };
        let mut child = Command::new(std::env::current_exe()?)
            .arg(mode)
            .arg(dir.path().join("sock"))
            .arg(reply_len.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the reference server")?;
        let mut ready = String::new();
        let stdout = child.stdout.take().context("stdout is piped")?;
        BufReader::new(stdout).read_line(&mut ready)?;
        let echo = Self { child, dir };
        if ready.trim() != "ready" {
            bail!("the reference server did not start");
        }
        Ok(echo)
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("sock")
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Becomes a reference server when the arguments say so.
pub(crate) fn serve_if_asked(args: &[String]) -> Option<Result<()>> {
    let [mode, socket, len] = args else { return None };
    let through_workers = match mode.as_str() {
        BARE => false,
        WORKERS => true,
        _ => return None,
    };
    let len = match len.parse::<usize>() {
        Ok(len) => len.max(1),
        Err(error) => return Some(Err(error.into())),
    };
    let mut reply = vec![b'x'; len];
    reply[len - 1] = b'\n';
    Some(serve(Path::new(socket), &reply, through_workers))
}

type Line = (usize, Vec<u8>);

fn serve(socket: &Path, reply: &[u8], through_workers: bool) -> Result<()> {
    let mut poll = Poll::new()?;
    let mut listener = UnixListener::bind(socket)?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let waker = std::sync::Arc::new(Waker::new(poll.registry(), WAKER)?);
    let (lines, work) = crossbeam_channel::bounded::<Line>(1024);
    let (done, answers) = crossbeam_channel::unbounded::<Line>();
    for _ in 0..if through_workers { 2 } else { 0 } {
        let (work, done, waker) = (work.clone(), done.clone(), std::sync::Arc::clone(&waker));
        let reply = reply.to_vec();
        std::thread::spawn(move || {
            for (conn, _line) in work {
                if done.send((conn, reply.clone())).is_err() || waker.wake().is_err() {
                    return;
                }
            }
        });
    }
    writeln!(std::io::stdout().lock(), "ready")?;

    let mut conns: HashMap<usize, UnixStream> = HashMap::new();
    let mut number = 0;
    let mut events = Events::with_capacity(256);
    let mut chunk = vec![0; 65_536];
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &events {
            match event.token() {
                LISTENER => {
                    while let Ok((mut stream, _)) = listener.accept() {
                        poll.registry().register(&mut stream, Token(number), Interest::READABLE)?;
                        conns.insert(number, stream);
                        number += 1;
                    }
                }
                WAKER => {
                    while let Ok((conn, line)) = answers.try_recv() {
                        if let Some(stream) = conns.get_mut(&conn) {
                            stream.write_all(&line)?;
                        }
                    }
                }
                Token(conn) => {
                    if !read(&mut conns, conn, &mut chunk, reply, through_workers.then_some(&lines))? {
                        conns.remove(&conn);
                    }
                }
            }
        }
    }
}

/// Answers what has arrived; false when the client is gone.
fn read(
    conns: &mut HashMap<usize, UnixStream>,
    conn: usize,
    chunk: &mut [u8],
    reply: &[u8],
    lines: Option<&crossbeam_channel::Sender<Line>>,
) -> Result<bool> {
    let Some(stream) = conns.get_mut(&conn) else { return Ok(true) };
    loop {
        match stream.read(chunk) {
            Ok(0) => return Ok(false),
            Ok(len) => {
                // Clients have one request in flight, so what arrives is one whole line.
                for line in chunk[..len].split_inclusive(|&byte| byte == b'\n') {
                    match lines {
                        Some(lines) => lines.send((conn, line.to_vec()))?,
                        None => stream.write_all(reply)?,
                    }
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) if error.kind() == ErrorKind::Interrupted => (),
            Err(_) => return Ok(false),
        }
    }
}
