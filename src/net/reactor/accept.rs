//! Letting clients in: who may, how many, and who has to go for them.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::super::Peer;
use super::super::conn::Conn;
use super::{State, enqueue, token_of};

/// Clients accepted in one turn.
const ACCEPTS_PER_TURN: usize = 64;
/// How long accepting rests when the system is out of descriptors or memory.
const ACCEPT_REST: Duration = Duration::from_secs(1);

/// Whether there may be clients to accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accept {
    /// All were accepted; an event will come.
    Drained,
    /// There may be some.
    Ready,
    /// The system had no room for one; try again then.
    Rest(Instant),
}

impl State {
    /// Lets waiting clients in, as far as there is room.
    pub(super) fn accept(&mut self) {
        if let Accept::Rest(until) = self.accept
            && self.now >= until
        {
            self.accept = Accept::Ready;
        }
        if self.parked.is_some() && !self.room {
            return;
        }
        for _ in 0..ACCEPTS_PER_TURN {
            let Some((socket, peer)) = self.parked.take().or_else(|| self.accept_one()) else { return };
            if self.conns.len() >= self.limits.max_connections && !self.close_idlest() {
                self.parked = Some((socket, peer));
                self.room = false;
                return;
            }
            self.admit(socket, peer);
        }
    }

    /// The next client that may connect; `None` when there is none at the moment.
    fn accept_one(&mut self) -> Option<(mio::net::UnixStream, Peer)> {
        let (acceptor, listener) = self.listener.as_ref()?;
        while self.accept == Accept::Ready {
            match acceptor.accept() {
                Ok((socket, _)) => match examine(&socket, listener.admits_others()) {
                    Ok(peer) => return Some((socket, peer)),
                    Err(cause) => log::debug!("ipc.client_lost error={cause}"),
                },
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => self.accept = Accept::Drained,
                // These leave the client in the queue and would be reported again at once.
                Err(cause) if is_exhaustion(&cause) => {
                    log::warn!("ipc.accept_failed error={cause} retry_seconds={}", ACCEPT_REST.as_secs());
                    self.accept = Accept::Rest(self.now + ACCEPT_REST);
                }
                Err(cause) => log::debug!("ipc.accept_failed error={cause}"),
            }
        }
        None
    }

    /// Closes the connection that has been idle longest. `false` when none is idle.
    fn close_idlest(&mut self) -> bool {
        // Connections accepted in one turn share a time; their order tells which is older.
        let age = |conn: &&mut Conn| (conn.last_active, conn.id.serial);
        let idlest = self.conns.iter_mut().filter(|conn| conn.is_idle()).min_by_key(age);
        let Some(id) = idlest.map(|conn| conn.id) else { return false };
        let Some(conn) = self.conns.take(id) else { return false };
        log::debug!("ipc.idle_connection_closed pid={:?}", conn.peer.pid);
        self.close(conn);
        true
    }

    fn admit(&mut self, socket: mio::net::UnixStream, peer: Peer) {
        let id = self.conns.reserve();
        let mut conn = Box::new(Conn::new(id, peer, socket, &self.limits, self.now));
        if let Err(cause) = conn.register(self.poll.registry(), token_of(id)) {
            log::warn!("ipc.register_failed error={cause}");
            self.conns.release(id);
            return;
        }
        log::debug!("ipc.connected pid={:?} uid={}", peer.pid, peer.uid);
        // Most clients have sent something already; until it is looked for, nothing calls this one idle.
        enqueue(&mut self.turns, &mut conn);
        self.conns.put(conn);
        self.vital.connections.store(self.conns.len() as u64, Ordering::Relaxed);
    }
}

/// Who connected, and whether they may.
fn examine(socket: &impl AsFd, admits_others: bool) -> io::Result<Peer> {
    let peer = peer_of(socket)?;
    let own = nix::unistd::geteuid().as_raw();
    if peer.uid != own && peer.uid != 0 && !admits_others {
        log::warn!("ipc.peer_refused pid={:?} uid={}", peer.pid, peer.uid);
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(peer)
}

#[cfg(target_os = "linux")]
fn peer_of(socket: &impl AsFd) -> io::Result<Peer> {
    let seen = nix::sys::socket::getsockopt(&socket.as_fd(), nix::sys::socket::sockopt::PeerCredentials)?;
    Ok(Peer { uid: seen.uid(), pid: Some(seen.pid()) })
}

#[cfg(not(target_os = "linux"))]
fn peer_of(socket: &impl AsFd) -> io::Result<Peer> {
    let (uid, _) = nix::unistd::getpeereid(socket.as_fd())?;
    Ok(Peer { uid: uid.as_raw(), pid: None })
}

fn is_exhaustion(cause: &io::Error) -> bool {
    use nix::errno::Errno;
    let errno = cause.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM))
}
