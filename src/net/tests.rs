//! The reactor over real sockets, with a consumer thread that answers as a worker would.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use serde_json::{Value, json};

use super::*;
use crate::rpc::{Incoming, Params, RpcError, reply};

const LONG: Duration = Duration::from_secs(20);

/// A reactor and the thread that answers its requests.
///
/// Methods: `echo` answers with its params, `wait` answers when the test lets it, `big` answers with a text
/// of `bytes` bytes, `watch` becomes a stream that the test drives, `daemon.*` is refused: the reactor
/// answers those.
struct Server {
    dir: tempfile::TempDir,
    reactor: Option<Reactor>,
    vital: std::sync::Arc<Vital>,
    let_go: Sender<()>,
    waiting: Receiver<()>,
    streams: Receiver<Result<Stream, TooManyStreams>>,
    events: Receiver<Event>,
    consumer: Option<JoinHandle<usize>>,
}

impl Server {
    fn start(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = bind(&dir.path().join("s"), 0o600, 128).unwrap();
        let vital = std::sync::Arc::new(Vital::new());
        let (requests, inbox) = bounded(limits.max_concurrent_requests);
        let (events_in, events) = unbounded();
        let reactor =
            Reactor::spawn(listener, limits, std::sync::Arc::clone(&vital), requests, events_in).unwrap();
        let handle = reactor.handle();
        let (let_go, gate) = unbounded();
        let (waiting_in, waiting) = unbounded();
        let (streams_in, streams) = unbounded();
        let consumer = std::thread::spawn(move || {
            let waiters = crossbeam_channel::unbounded::<(ConnId, Option<crate::rpc::Id>)>();
            let mut count = 0;
            loop {
                crossbeam_channel::select! {
                    recv(inbox) -> request => {
                        let Ok(request) = request else { return count };
                        count += 1;
                        serve(&handle, request, &waiters.0, &waiting_in, &streams_in);
                    }
                    recv(gate) -> message => {
                        if message.is_ok() && let Ok((conn, id)) = waiters.1.recv() {
                            answer(&handle, conn, id.as_ref(), &json!("waited"));
                        }
                    }
                }
            }
        });
        Self {
            dir,
            reactor: Some(reactor),
            vital,
            let_go,
            waiting,
            streams,
            events,
            consumer: Some(consumer),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("s")
    }

    fn client(&self) -> Conversation {
        let socket = UnixStream::connect(self.path()).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        socket.set_write_timeout(Some(LONG)).unwrap();
        Conversation { reader: BufReader::new(socket.try_clone().unwrap()), socket }
    }

    fn stop(&mut self, flush: Duration) -> usize {
        self.reactor.take().unwrap().shutdown(flush);
        drop(std::mem::replace(&mut self.let_go, unbounded().0));
        self.consumer.take().unwrap().join().unwrap()
    }
}

fn answer(handle: &Handle, conn: ConnId, id: Option<&crate::rpc::Id>, value: &Value) {
    match id {
        Some(id) => handle.reply(conn, reply::result(id, value)),
        None => handle.no_reply(conn),
    }
}

fn serve(
    handle: &Handle,
    request: Request,
    waiters: &Sender<(ConnId, Option<crate::rpc::Id>)>,
    waiting: &Sender<()>,
    streams: &Sender<Result<Stream, TooManyStreams>>,
) {
    let call = match Incoming::parse(&request.line) {
        Incoming::Single(Ok(call)) => call,
        Incoming::Single(Err(rejection)) => {
            return handle.reply(request.conn, reply::error(rejection.id.as_ref(), &rejection.error));
        }
        Incoming::Batch(entries) => {
            let ids = entries.into_iter().filter_map(|entry| entry.ok()?.id);
            let replies: Vec<_> = ids.map(|id| reply::result(&id, &"batched")).collect();
            return match reply::batch(&replies) {
                Some(line) => handle.reply(request.conn, line),
                None => handle.no_reply(request.conn),
            };
        }
    };
    let params = match call.params {
        Params::Named(members) => Value::Object(members),
        Params::Positional => Value::Null,
    };
    match call.method.as_str() {
        "echo" => answer(handle, request.conn, call.id.as_ref(), &params),
        "big" => {
            let text = "x".repeat(usize::try_from(params["bytes"].as_u64().unwrap()).unwrap());
            answer(handle, request.conn, call.id.as_ref(), &Value::from(text));
        }
        "wait" => {
            waiters.send((request.conn, call.id)).unwrap();
            waiting.send(()).unwrap();
        }
        "watch" => {
            let stream = handle.start_stream(request.conn);
            if let Err(full) = &stream {
                let error = RpcError::TooManyStreams { max: full.max };
                handle.reply(request.conn, reply::error(call.id.as_ref(), &error));
            }
            streams.send(stream).unwrap();
        }
        _ => {
            let error = RpcError::MethodNotFound(call.method);
            handle.reply(request.conn, reply::error(call.id.as_ref(), &error));
        }
    }
}

/// The client side, raw.
struct Conversation {
    socket: UnixStream,
    reader: BufReader<UnixStream>,
}

impl Conversation {
    fn send(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        self.socket.write_all(text.as_ref()).unwrap();
        self
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        assert!(self.reader.read_line(&mut line).unwrap() > 0, "the connection was closed");
        assert!(line.ends_with('\n'));
        serde_json::from_str(&line).unwrap()
    }

    fn call(&mut self, method: &str) -> Value {
        self.send(format!("{{\"method\":\"{method}\",\"id\":1}}\n"));
        self.line()["result"].take()
    }

    fn assert_closed(&mut self) {
        let mut rest = Vec::new();
        match self.reader.read_to_end(&mut rest) {
            Ok(_) => assert_eq!(String::from_utf8_lossy(&rest), ""),
            Err(cause) => assert_eq!(cause.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }
}

fn echo(id: usize) -> String {
    format!("{{\"method\":\"echo\",\"params\":{{\"n\":{id}}},\"id\":{id}}}\n")
}

/// Waits for a condition that other threads bring about.
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::yield_now();
    }
}

fn relaxed(counter: &std::sync::atomic::AtomicU64) -> u64 {
    counter.load(std::sync::atomic::Ordering::Relaxed)
}

#[test]
fn health_and_ping_are_answered_without_workers() {
    let mut server = Server::start(Limits::default());
    let mut client = server.client();
    client.send("{\"jsonrpc\":\"2.0\",\"method\":\"daemon.health\",\"params\":null,\"id\":\"h\"}\n");
    let health = client.line();
    assert_eq!(health["id"], "h");
    assert_eq!(health["result"]["status"], "ok");
    assert_eq!(health["result"]["pid"], std::process::id());
    assert_eq!(health["result"]["shutting_down"], false);
    assert!(health["result"]["uptime_seconds"].as_f64().unwrap() < 60.0);
    assert_eq!(client.call("daemon.ping")["message"], "pong");
    server.vital.set_shutting_down();
    assert_eq!(client.call("daemon.health")["shutting_down"], true);
    // A notification is not answered, and a name inside of something else is not a call.
    client.send("{\"method\":\"daemon.health\"}\n{\"method\":\"echo\",\"params\":{\"a\":\"daemon.health\"},\"id\":2}\n");
    assert_eq!(client.line(), json!({"jsonrpc":"2.0","result":{"a":"daemon.health"},"id":2}));
    assert_eq!(server.stop(LONG), 1, "only `echo` went to the consumer");
}

#[test]
fn pipelined_lines_are_answered_in_order() {
    let server = Server::start(Limits::default());
    let mut client = server.client();
    let lines: String = (0..500)
        .map(|n| if n % 3 == 0 { format!("{{\"method\":\"daemon.ping\",\"id\":{n}}}\n") } else { echo(n) })
        .collect();
    client.send(lines);
    for n in 0..500 {
        assert_eq!(client.line()["id"], n);
    }
}

#[test]
fn one_byte_at_a_time_is_as_good_as_a_block() {
    let server = Server::start(Limits::default());
    let mut client = server.client();
    for byte in echo(7).bytes() {
        client.send([byte]);
    }
    assert_eq!(client.line()["result"]["n"], 7);
}

#[test]
fn what_is_not_a_request_goes_to_the_consumer_and_the_connection_stays() {
    let server = Server::start(Limits::default());
    let mut client = server.client();
    client.send("\nnot json\n[{\"method\":\"a\",\"id\":1},{\"method\":\"b\"},{\"method\":\"c\",\"id\":2}]\n");
    assert_eq!(client.line()["error"]["code"], -32700);
    assert_eq!(client.line()["error"]["code"], -32700);
    let replies = client.line();
    assert_eq!(
        replies,
        json!([{"jsonrpc":"2.0","result":"batched","id":1},{"jsonrpc":"2.0","result":"batched","id":2}])
    );
    client.send("[{\"method\":\"b\"}]\n{\"method\":\"echo\"}\n").send(echo(3));
    assert_eq!(client.line()["id"], 3, "batches of notifications and notifications have no reply");
}

#[test]
fn half_close_gets_all_answers_and_then_the_end() {
    let server = Server::start(Limits::default());
    let mut client = server.client();
    client.send(echo(1)).send(echo(2)).send(echo(3).trim_end());
    client.socket.shutdown(std::net::Shutdown::Write).unwrap();
    for n in 1..=3 {
        assert_eq!(client.line()["id"], n);
    }
    client.assert_closed();
    let mut silent = server.client();
    silent.socket.shutdown(std::net::Shutdown::Write).unwrap();
    silent.assert_closed();
}

#[test]
fn requests_of_clients_that_are_gone_are_still_carried_out() {
    let mut server = Server::start(Limits::default());
    let mut client = server.client();
    client.send("{\"method\":\"echo\"}\n{\"method\":\"echo\"}\n{\"method\":\"echo\"}");
    drop(client);
    until("all three lines", || relaxed(&server.vital.requests_total) == 3);
    until("the close", || relaxed(&server.vital.connections) == 0);
    assert_eq!(server.stop(LONG), 3);
}

#[test]
fn an_oversized_line_is_refused_and_the_next_one_is_answered() {
    let server = Server::start(Limits::default());
    let mut client = server.client();
    let mut other = server.client();
    client.send("x".repeat(2_000_000));
    assert_eq!(other.call("daemon.ping")["message"], "pong");
    client.send("\r\n").send(echo(5));
    let error = client.line();
    assert_eq!(error["error"]["code"], -32600);
    assert_eq!(error["error"]["data"]["request_size"], 2_000_000);
    assert_eq!(error["id"], Value::Null);
    assert_eq!(client.line()["id"], 5);
    client.send("y".repeat(1_100_000));
    client.socket.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(client.line()["error"]["data"]["request_size"], 1_100_000);
    client.assert_closed();
}

#[test]
fn an_oversized_line_without_end_is_given_up() {
    let bytes = Server::start(Limits { discard_bytes: 3_000_000, ..Limits::default() });
    let mut client = bytes.client();
    let mut sender = client.socket.try_clone().unwrap();
    let flood = std::thread::spawn(move || while sender.write_all(&[b'x'; 65_536]).is_ok() {});
    let size = client.line()["error"]["data"]["request_size"].as_u64().unwrap();
    assert!((3_000_000..3_200_000).contains(&size), "{size}");
    client.assert_closed();
    flood.join().unwrap();

    let time = Server::start(Limits { discard_time: Duration::from_millis(30), ..Limits::default() });
    let mut client = time.client();
    client.send("x".repeat(1_200_000));
    assert_eq!(client.line()["error"]["data"]["request_size"], 1_200_000);
    client.assert_closed();
}

#[test]
fn half_a_line_is_closed_and_an_idle_connection_is_not() {
    let server = Server::start(Limits { partial_idle: Duration::from_millis(50), ..Limits::default() });
    let mut idle = server.client();
    assert_eq!(idle.call("daemon.ping")["message"], "pong");
    let mut partial = server.client();
    partial.send(echo(1)).send("{\"method\":");
    assert_eq!(partial.line()["id"], 1);
    partial.assert_closed();
    assert_eq!(idle.call("daemon.ping")["message"], "pong");
}

#[test]
fn a_client_that_never_reads_is_closed_and_disturbs_nobody() {
    let limits = Limits { write_stall: Duration::from_millis(100), ..Limits::default() };
    let server = Server::start(limits);
    let mut never = server.client();
    never.send("{\"method\":\"big\",\"params\":{\"bytes\":5000000},\"id\":1}\n".repeat(8));
    let mut other = server.client();
    for n in 0..50 {
        assert_eq!(other.send(echo(n)).line()["id"], n);
    }
    until("the close", || relaxed(&server.vital.connections) == 1);
    assert_eq!(other.call("daemon.ping")["message"], "pong");
    assert!(relaxed(&server.vital.requests_total) < 60, "not read further when 16 MiB are owed");
}

#[test]
fn large_answers_arrive_whole_and_lift_the_cap_when_read() {
    let limits = Limits { outbound_bytes: 100_000, ..Limits::default() };
    let server = Server::start(limits);
    let mut client = server.client();
    client.send("{\"method\":\"big\",\"params\":{\"bytes\":3000000},\"id\":1}\n".repeat(5));
    client.send("{\"method\":\"daemon.ping\",\"id\":2}\n".repeat(5000));
    for _ in 0..5 {
        assert_eq!(client.line()["result"].as_str().unwrap().len(), 3_000_000);
    }
    for _ in 0..5000 {
        assert_eq!(client.line()["id"], 2);
    }
}

#[test]
fn slots_bound_requests_but_not_inline_methods() {
    let limits = Limits { max_concurrent_requests: 2, ..Limits::default() };
    let server = Server::start(limits);
    let mut waiting: Vec<_> = (0..2).map(|_| server.client()).collect();
    for client in &mut waiting {
        client.send("{\"method\":\"wait\",\"id\":1}\n");
        server.waiting.recv_timeout(LONG).unwrap();
    }
    let mut held: Vec<_> = (0..4).map(|_| server.client()).collect();
    for client in &mut held {
        client.send("{\"method\":\"daemon.ping\",\"id\":0}\n").send(echo(9));
        assert_eq!(client.line()["id"], 0, "before the line that needs a slot");
    }
    assert_eq!(server.client().call("daemon.health")["status"], "ok");
    assert_eq!(relaxed(&server.vital.requests_in_flight), 2);
    // A client that leaves keeps its slot until its request is done.
    drop(waiting.pop());
    assert_eq!(server.client().call("daemon.health")["status"], "ok");
    assert_eq!(relaxed(&server.vital.requests_in_flight), 2);
    server.let_go.send(()).unwrap();
    for client in &mut held {
        assert_eq!(client.line()["id"], 9);
    }
    server.let_go.send(()).unwrap();
    assert_eq!(waiting[0].line()["result"], "waited");
}

#[test]
fn six_hundred_connections_with_a_cap_of_five_hundred() {
    let server = Server::start(Limits::default());
    let mut first = server.client();
    assert_eq!(first.call("daemon.ping")["message"], "pong");
    let mut busy = server.client();
    busy.send("{\"method\":\"wait\",\"id\":1}\n");
    server.waiting.recv_timeout(LONG).unwrap();
    let mut clients: Vec<_> = (0..600).map(|_| server.client()).collect();
    let last = clients.last_mut().unwrap();
    assert_eq!(last.call("daemon.ping")["message"], "pong");
    assert_eq!(relaxed(&server.vital.connections), 500);
    first.assert_closed();
    for client in &mut clients[..101] {
        client.assert_closed();
    }
    for client in &mut clients[101..] {
        assert_eq!(client.call("daemon.ping")["message"], "pong");
    }
    server.let_go.send(()).unwrap();
    assert_eq!(busy.line()["result"], "waited", "a busy connection is never the one that is closed");
}

#[test]
fn without_an_idle_connection_accepting_waits() {
    let limits = Limits { max_connections: 2, ..Limits::default() };
    let server = Server::start(limits);
    let mut busy: Vec<_> = (0..2).map(|_| server.client()).collect();
    for client in &mut busy {
        client.send("{\"method\":\"wait\",\"id\":1}\n");
        server.waiting.recv_timeout(LONG).unwrap();
    }
    let mut third = server.client();
    third.send(echo(3));
    let mut fourth = server.client();
    fourth.send(echo(4));
    server.let_go.send(()).unwrap();
    assert_eq!(third.line()["id"], 3);
    assert_eq!(fourth.line()["id"], 4);
    assert_eq!(relaxed(&server.vital.connections), 2);
}

fn start_stream(server: &Server, client: &mut Conversation) -> Stream {
    client.send("{\"method\":\"watch\",\"id\":1}\n");
    server.streams.recv_timeout(LONG).unwrap().unwrap()
}

fn event(n: usize) -> Vec<u8> {
    reply::notification("job.event", &json!({ "n": n }))
}

#[test]
fn a_stream_sends_messages_until_its_reply_and_the_connection_goes_on() {
    let server = Server::start(Limits { max_concurrent_requests: 1, max_streams: 2, ..Limits::default() });
    let mut client = server.client();
    let stream = start_stream(&server, &mut client);
    client.send(echo(2));
    for n in 0..10 {
        assert!(stream.notify(event(n)));
        assert_eq!(client.line(), json!({"jsonrpc":"2.0","method":"job.event","params":{"n":n}}));
    }
    // It holds no slot: there is only one.
    let mut second = server.client();
    let other = start_stream(&server, &mut second);
    let mut third = server.client();
    third.send("{\"method\":\"watch\",\"id\":1}\n");
    assert_eq!(server.streams.recv_timeout(LONG).unwrap().unwrap_err(), TooManyStreams { max: 2 });
    assert_eq!(third.line()["error"]["data"]["max"], 2);
    assert_eq!((stream.delivered(), stream.dropped()), (10, 0));
    stream.end(reply::result(&crate::rpc::Id::number(1), &json!({"reason": "terminal"})));
    assert_eq!(client.line()["result"]["reason"], "terminal");
    assert_eq!(client.line()["id"], 2, "the line that was sent during the stream");
    let third = start_stream(&server, &mut client);
    other.end(event(0));
    third.end(event(0));
    assert!(server.events.try_recv().is_err());
}

#[test]
fn the_end_of_a_streams_client_is_noticed_at_once() {
    let server = Server::start(Limits { max_streams: 1, ..Limits::default() });
    for _ in 0..3 {
        let mut client = server.client();
        let stream = start_stream(&server, &mut client);
        drop(client);
        let event = server.events.recv_timeout(LONG).unwrap();
        assert_eq!(event, Event::StreamClosed(stream.conn()));
        stream.notify(b"{}".to_vec());
        stream.end(b"{}".to_vec());
    }
    // Gone before its request became a stream.
    let mut client = server.client();
    client.send("{\"method\":\"wait\",\"id\":1}\n{\"method\":\"watch\",\"id\":1}\n");
    server.waiting.recv_timeout(LONG).unwrap();
    client.socket.shutdown(std::net::Shutdown::Both).unwrap();
    drop(client);
    server.let_go.send(()).unwrap();
    until("the close", || relaxed(&server.vital.connections) == 0);
    assert_eq!(server.reactor.as_ref().unwrap().handle().streams(), 0);
}

#[test]
fn a_half_closed_stream_goes_on() {
    let server = Server::start(Limits::default());
    let mut client = server.client();
    let stream = start_stream(&server, &mut client);
    client.socket.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(server.client().call("daemon.ping")["message"], "pong");
    stream.notify(event(1));
    assert_eq!(client.line()["params"]["n"], 1);
    stream.end(reply::result(&crate::rpc::Id::number(1), &json!("over")));
    assert_eq!(client.line()["result"], "over");
    client.assert_closed();
}

#[test]
fn a_slow_stream_drops_new_messages_and_counts_them() {
    let server = Server::start(Limits { stream_queue: 10, ..Limits::default() });
    let mut client = server.client();
    let stream = start_stream(&server, &mut client);
    let message = reply::notification("job.event", &json!({ "text": "x".repeat(100_000) }));
    until("a full queue", || !stream.notify(message.clone()));
    let (delivered, dropped) = (stream.delivered(), stream.dropped());
    assert!((10..40).contains(&delivered), "{delivered}: the queue and what the socket takes");
    assert_eq!(dropped, 1);
    for _ in 0..delivered {
        assert_eq!(client.line()["method"], "job.event");
    }
    until("room in the queue", || stream.notify(message.clone()));
    assert_eq!(client.line()["method"], "job.event");
}

#[test]
fn a_shutdown_flushes_answers_and_removes_the_socket() {
    let mut server = Server::start(Limits::default());
    let mut waiting = server.client();
    waiting.send("{\"method\":\"wait\",\"id\":1}\n");
    server.waiting.recv_timeout(LONG).unwrap();
    let mut idle = server.client();
    assert_eq!(idle.call("daemon.ping")["message"], "pong");
    let mut watching = server.client();
    let stream = start_stream(&server, &mut watching);
    let mut never = server.client();
    never.send("{\"method\":\"wait\",\"id\":1}\n");
    server.waiting.recv_timeout(LONG).unwrap();

    let reactor = server.reactor.take().unwrap();
    let path = server.path();
    let stopping = std::thread::spawn(move || reactor.shutdown(Duration::from_millis(500)));
    until("the removal", || !path.exists());
    idle.assert_closed();
    server.let_go.send(()).unwrap();
    assert_eq!(waiting.line()["result"], "waited");
    waiting.assert_closed();
    stream.end(reply::result(&crate::rpc::Id::number(1), &json!({"reason": "shutdown"})));
    assert_eq!(watching.line()["result"]["reason"], "shutdown");
    watching.assert_closed();
    never.assert_closed();
    stopping.join().unwrap();
}

#[test]
fn binding_makes_a_private_socket_and_cleans_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/deep/s");
    let listener = bind(&path, 0o660, 5).unwrap();
    let meta = std::fs::symlink_metadata(&path).unwrap();
    assert!(meta.file_type().is_socket());
    assert_eq!(meta.permissions().mode() & 0o777, 0o660);
    assert_eq!(std::fs::metadata(dir.path().join("new")).unwrap().mode() & 0o777, 0o700);
    assert!(matches!(bind(&path, 0o660, 5), Err(BindError::InUse(_))));
    drop(listener);
    assert!(!path.exists());

    // Stale: bound once, nobody listens any more.
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let listener = bind(&path, 0o600, 1).unwrap();
    // Not ours any more: another one took the path.
    std::fs::remove_file(&path).unwrap();
    let usurper = UnixListener::bind(&path).unwrap();
    drop(listener);
    assert!(path.exists());
    drop(usurper);
}

#[test]
fn binding_refuses_what_is_not_a_stale_socket() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    assert!(matches!(bind(&file, 0o600, 5), Err(BindError::NotASocket(_))));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let error = bind(&link, 0o600, 5).unwrap_err();
    assert_eq!(error.to_string(), format!("Socket path is a symlink (possible attack): {}", link.display()));
    let long = dir.path().join("x".repeat(120));
    assert!(matches!(bind(&long, 0o600, 5), Err(BindError::PathTooLong { .. })));
    assert!(matches!(bind(&file.join("s"), 0o600, 5), Err(BindError::System { .. })));
}

#[test]
fn many_clients_at_once_each_get_their_own_answers() {
    let server = Server::start(Limits { max_concurrent_requests: 3, ..Limits::default() });
    let path = server.path();
    let threads: Vec<_> = (0..32)
        .map(|thread| {
            let mut client = server.client();
            std::thread::spawn(move || {
                for n in 0..100 {
                    let id = thread * 1000 + n;
                    assert_eq!(client.send(echo(id)).line()["result"]["n"], id);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(path.exists());
    until("all closes", || relaxed(&server.vital.connections) == 0);
}
