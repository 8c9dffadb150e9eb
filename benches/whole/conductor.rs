//! A conductor of our own in a temporary directory, and the plainest possible client for it.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// Longest wait for any single answer.
const ANSWER: Duration = Duration::from_secs(30);

/// A started conductor; dropping it ends it and removes its directory.
pub(crate) struct Conductor {
    program: PathBuf,
    dir: tempfile::TempDir,
    /// Its process.
    pub(crate) pid: u32,
    /// How long `mozart start` took until it returned.
    pub(crate) start: Duration,
}

impl Conductor {
    /// Starts one in the background with this configuration (YAML), as a user would.
    pub(crate) fn start(program: &Path, config: &str) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("mozart-bench-").tempdir()?;
        fs::write(dir.path().join("conductor.yaml"), config)?;
        let mut conductor = Self { program: program.to_owned(), dir, pid: 0, start: Duration::ZERO };
        let begin = Instant::now();
        let output = conductor.command(&["start"]).output().context("cannot run `mozart start`")?;
        conductor.start = begin.elapsed();
        if !output.status.success() {
            bail!("`mozart start` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let file = fs::read_to_string(conductor.dir.path().join("pid")).context("no PID file")?;
        conductor.pid = file.split_whitespace().next().context("the PID file is empty")?.parse()?;
        Ok(conductor)
    }

    /// A command line of the program that talks to this conductor.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let home = self.dir.path();
        let mut command = Command::new(&self.program);
        command
            .args(args)
            .current_dir(home)
            .env_remove("MOZART_CONFIG")
            .env_remove("MOZART_CLONE")
            .env("MOZART_HOME", home)
            .env("MOZART_SOCKET", self.socket())
            .env("MOZART_PID_FILE", home.join("pid"))
            .stdin(Stdio::null());
        command
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("sock")
    }

    /// Writes a score next to its state and returns the path.
    pub(crate) fn score(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.dir.path().join(format!("{name}.yaml"));
        fs::write(&path, text)?;
        Ok(path)
    }

    /// A new connection.
    pub(crate) fn client(&self) -> Result<Client> {
        Client::connect(&self.socket())
    }

    /// Submits a score, watches it to its end and returns how long that took.
    /// Anything but `completed` is an error.
    pub(crate) fn run_to_end(&self, score: &Path, name: &str) -> Result<Duration> {
        let mut client = self.client()?;
        let begin = Instant::now();
        let answer = client.call("job.submit", submit(score, name))?;
        if answer["status"] != "accepted" {
            bail!("`{name}` was not accepted: {answer}");
        }
        let end = client.stream("job.watch", json!({ "job_id": name }))?;
        let took = begin.elapsed();
        if end["status"] != "completed" {
            let state = self.client()?.call("job.status", json!({ "job_id": name }))?;
            bail!("`{name}` ended as {}: {state}", end["status"]);
        }
        Ok(took)
    }
}

impl Drop for Conductor {
    fn drop(&mut self) {
        // KILL: what is queued must not be played to its end; this also ends what guards hold.
        _ = self.command(&["stop", "--force", "--yes"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        let Ok(pid) = i32::try_from(self.pid) else { return };
        let lives = || pid > 0 && Path::new(&format!("/proc/{pid}")).exists();
        let end = Instant::now() + Duration::from_secs(5);
        while lives() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        if lives() {
            _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// Parameters of `job.submit`.
pub(crate) fn submit(score: &Path, name: &str) -> Value {
    json!({ "config_path": score, "name": name })
}

/// Whether an answer to `job.submit` says that the job is ours now.
pub(crate) fn accepted(answer: &[u8]) -> bool {
    memchr::memmem::find(answer, b"\"accepted\"").is_some()
}

/// One connection, one request at a time.
pub(crate) struct Client {
    stream: BufReader<UnixStream>,
    line: Vec<u8>,
}

impl Client {
    /// Connects.
    pub(crate) fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket).context("cannot connect")?;
        stream.set_read_timeout(Some(ANSWER))?;
        Ok(Self { stream: BufReader::new(stream), line: Vec::new() })
    }

    /// Sends a line as it is and returns the answer as it is.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Result<&[u8]> {
        self.stream.get_mut().write_all(request)?;
        self.read()
    }

    fn read(&mut self) -> Result<&[u8]> {
        self.line.clear();
        self.stream.read_until(b'\n', &mut self.line).context("no answer")?;
        if self.line.last() != Some(&b'\n') {
            bail!("the conductor closed the connection");
        }
        Ok(&self.line)
    }

    /// The result of a method.
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Result<Value> {
        let line = request(method, &params);
        let answer: Value = serde_json::from_slice(self.exchange(&line)?)?;
        result(method, answer)
    }

    /// Passes over the notifications of a streaming method and returns its result.
    pub(crate) fn stream(&mut self, method: &str, params: Value) -> Result<Value> {
        self.stream.get_mut().write_all(&request(method, &params))?;
        // A job may be silent for longer than an answer may take.
        self.stream.get_mut().set_read_timeout(Some(ANSWER * 20))?;
        loop {
            let answer: Value = serde_json::from_slice(self.read()?)?;
            if answer.get("id").is_some() {
                return result(method, answer);
            }
        }
    }
}

fn result(method: &str, mut answer: Value) -> Result<Value> {
    if let Some(error) = answer.get("error") {
        bail!("`{method}` failed: {error}");
    }
    Ok(answer["result"].take())
}

/// One request as a line.
pub(crate) fn request(method: &str, params: &Value) -> Vec<u8> {
    let mut line = json!({ "jsonrpc": "2.0", "method": method, "params": params, "id": 1 }).to_string();
    line.push('\n');
    line.into_bytes()
}
