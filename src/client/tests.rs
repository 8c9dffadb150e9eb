//! The client against small servers that answer what a test tells them.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::thread::JoinHandle;

use serde_json::json;

use super::*;

const LONG: Duration = Duration::from_secs(20);

/// Accepts one client and answers each of its lines with the next text; then closes.
struct Server {
    dir: tempfile::TempDir,
    thread: JoinHandle<Vec<String>>,
}

impl Server {
    fn start(answers: Vec<Vec<u8>>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("s")).unwrap();
        let thread = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(socket.try_clone().unwrap());
            let mut seen = Vec::new();
            for answer in answers {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap() == 0 {
                    break;
                }
                seen.push(line);
                // A client that has seen enough may close before everything is written.
                if socket.write_all(&answer).is_err() {
                    break;
                }
            }
            seen
        });
        Self { dir, thread }
    }

    fn client(&self) -> Client {
        Client::connect(self.dir.path().join("s"), LONG).unwrap()
    }
}

#[test]
fn calls_number_themselves_and_send_what_clients_always_sent() {
    let server = Server::start(vec![
        b"{\"jsonrpc\":\"2.0\",\"result\":{\"status\":\"ok\"},\"id\":1}\n".to_vec(),
        b"{\"jsonrpc\":\"2.0\",\"result\":null,\"id\":2}\n".to_vec(),
    ]);
    let mut client = server.client();
    assert_eq!(client.call("daemon.health", Value::Null).unwrap(), json!({"status": "ok"}));
    assert_eq!(client.call("job.list", json!({"limit": 1})).unwrap(), Value::Null);
    assert_eq!(
        server.thread.join().unwrap(),
        [
            "{\"jsonrpc\":\"2.0\",\"method\":\"daemon.health\",\"params\":null,\"id\":1}\n",
            "{\"jsonrpc\":\"2.0\",\"method\":\"job.list\",\"params\":{\"limit\":1},\"id\":2}\n",
        ]
    );
}

#[test]
fn errors_keep_their_code_and_data() {
    let server = Server::start(vec![
        b"{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32000,\"message\":\"Job 'x' not found\",\"data\":{\"job_id\":\"x\"}},\"id\":1}\n".to_vec(),
        b"{\"jsonrpc\":\"2.0\",\"error\":{},\"id\":2}\n".to_vec(),
        b"{\"jsonrpc\":\"2.0\",\"error\":null,\"result\":1,\"id\":3}\n".to_vec(),
    ]);
    let mut client = server.client();
    let Err(ClientError::Rpc { code, message, data }) = client.call("a", Value::Null) else { panic!() };
    assert_eq!((code, message.as_str(), data), (-32000, "Job 'x' not found", Some(json!({"job_id": "x"}))));
    for _ in 0..2 {
        let Err(ClientError::Rpc { code, message, data }) = client.call("a", Value::Null) else { panic!() };
        assert_eq!((code, message.as_str(), data), (-32603, "Unknown error", None));
    }
}

#[test]
fn what_is_not_the_protocol_is_told() {
    for answer in [
        "not json\n",
        "[]\n",
        "{}\n",
        "{\"jsonrpc\":\"2.0\",\"result\":1,\"id\":77}\n",
        "{\"jsonrpc\":\"2.0\",\"method\":\"job.event\",\"params\":{}}\n",
    ] {
        let server = Server::start(vec![answer.as_bytes().to_vec()]);
        let result = server.client().call("a", Value::Null);
        assert!(matches!(result, Err(ClientError::Protocol { .. })), "{answer} gives {result:?}");
    }
}

#[test]
fn a_line_above_the_limit_is_refused_while_it_is_read() {
    let server = Server::start(vec![vec![b'x'; 17 * 1024 * 1024]]);
    let error = server.client().call("a", Value::Null).unwrap_err();
    assert!(matches!(&error, ClientError::Protocol { detail, .. } if detail.contains("16777216")), "{error}");
    server.thread.join().unwrap();
}

#[test]
fn a_large_answer_and_a_last_line_without_line_end() {
    let text = "y".repeat(3_000_000);
    let answer = format!("{{\"jsonrpc\":\"2.0\",\"result\":\"{text}\",\"id\":1}}\n").into_bytes();
    let server = Server::start(vec![answer]);
    assert_eq!(server.client().call("a", Value::Null).unwrap(), json!(text));
    let server = Server::start(vec![b"{\"jsonrpc\":\"2.0\",\"result\":1,\"id\":1}".to_vec()]);
    let error = server.client().call("a", Value::Null).unwrap_err();
    assert!(
        matches!(error, ClientError::Closed { .. }),
        "an answer may be cut, so it needs its line end: {error}"
    );
}

#[test]
fn nobody_there_and_nobody_answering_are_different() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    assert!(matches!(Client::connect(&path, LONG), Err(ClientError::NotRunning { .. })));
    drop(UnixListener::bind(&path).unwrap());
    assert!(matches!(Client::connect(&path, LONG), Err(ClientError::NotRunning { .. })), "a stale socket");
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(matches!(Client::connect(&link, LONG), Err(ClientError::Symlink { .. })));
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(Client::connect(&file, LONG).is_err());

    let silent = dir.path().join("silent");
    let listener = UnixListener::bind(&silent).unwrap();
    let mut client = Client::connect(&silent, LONG).unwrap();
    client.set_timeout(Duration::from_millis(20));
    assert!(matches!(client.call("a", Value::Null), Err(ClientError::NotResponding { .. })));
    drop(listener);
    assert!(matches!(client.call("a", Value::Null), Err(ClientError::Closed { .. })));
}

#[test]
fn a_full_queue_of_connections_does_not_hang_the_client() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = crate::net::bind(&path, 0o600, 1).unwrap();
    let mut clients = Vec::new();
    let error = loop {
        match Client::connect(&path, Duration::from_millis(30)) {
            Ok(client) => clients.push(client),
            Err(error) => break error,
        }
        assert!(clients.len() < 100);
    };
    assert!(matches!(error, ClientError::NotResponding { .. }), "{error}");
    drop(listener);
}

#[test]
fn a_stream_yields_messages_and_ends_with_its_result() {
    let lines = "{\"jsonrpc\":\"2.0\",\"method\":\"job.event\",\"params\":{\"seq\":1}}\n\
                 {\"jsonrpc\":\"2.0\",\"method\":\"job.event\"}\n\
                 {\"jsonrpc\":\"2.0\",\"result\":{\"reason\":\"terminal\"},\"id\":1}\n";
    let server = Server::start(vec![lines.as_bytes().to_vec()]);
    let mut stream = server.client().stream("job.watch", json!({"job_id": "demo"})).unwrap();
    let messages: Vec<_> = stream.by_ref().map(|message| message.unwrap().params).collect();
    assert_eq!(messages, [json!({"seq": 1}), json!({})]);
    assert_eq!(stream.result(), Some(&json!({"reason": "terminal"})));
    assert!(stream.next().is_none());

    let server = Server::start(vec![lines.as_bytes().to_vec()]);
    let mut stream = server.client().stream("job.watch", Value::Null).unwrap();
    let mut steps = Vec::new();
    while !matches!(steps.last(), Some(Step::End(_))) {
        poll(&mut [PollFd::new(stream.as_fd(), PollFlags::POLLIN)], PollTimeout::from(20_000u16)).unwrap();
        loop {
            match stream.try_next().unwrap() {
                Step::Waiting => break,
                step @ Step::Notification(_) => steps.push(step),
                step @ Step::End(_) => {
                    steps.push(step);
                    break;
                }
            }
        }
    }
    assert_eq!(steps.len(), 3);
}

#[test]
fn a_stream_that_breaks_off_says_so_once() {
    let server = Server::start(vec![b"{\"jsonrpc\":\"2.0\",\"method\":\"a\"}\n".to_vec()]);
    let mut stream = server.client().stream("job.watch", Value::Null).unwrap();
    assert!(stream.next().unwrap().is_ok());
    assert!(matches!(stream.next(), Some(Err(ClientError::Closed { .. }))));
    assert!(stream.next().is_none());

    let error =
        "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32007,\"message\":\"Too many streams\"},\"id\":1}\n";
    let server = Server::start(vec![error.as_bytes().to_vec()]);
    let mut stream = server.client().stream("job.watch", Value::Null).unwrap();
    assert!(matches!(stream.next(), Some(Err(ClientError::Rpc { code: -32007, .. }))));
}
