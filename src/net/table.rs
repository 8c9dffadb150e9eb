//! The connections by slot.

use super::ConnId;
use super::conn::Conn;

/// Slots of connections. A connection can be taken out for its turn and is put back afterwards.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<Option<Box<Conn>>>,
    free: Vec<u32>,
    serial: u64,
}

impl Table {
    /// A name for the next connection. Must be followed by [`put`](Self::put) or [`release`](Self::release).
    pub(super) fn reserve(&mut self) -> ConnId {
        self.serial += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).expect("there are at most 10,000 connections")
        });
        ConnId { slot, serial: self.serial }
    }

    /// Puts a connection where its name says.
    pub(super) fn put(&mut self, conn: Box<Conn>) {
        let slot = conn.id.slot as usize;
        self.slots[slot] = Some(conn);
    }

    /// Takes a connection out; its slot stays reserved until it is put back or released.
    pub(super) fn take(&mut self, id: ConnId) -> Option<Box<Conn>> {
        self.slots.get_mut(id.slot as usize)?.take_if(|conn| conn.id == id)
    }

    /// Gives the slot of a connection that was taken out, or never put in, to others.
    pub(super) fn release(&mut self, id: ConnId) {
        self.free.push(id.slot);
    }

    /// A connection, unless it is gone.
    pub(super) fn get(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.slots.get_mut(id.slot as usize)?.as_deref_mut().filter(|conn| conn.id == id)
    }

    /// The connection in a slot.
    pub(super) fn in_slot(&mut self, slot: usize) -> Option<&mut Conn> {
        self.slots.get_mut(slot)?.as_deref_mut()
    }

    /// Connections that exist, the one being handled included.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// All connections.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Conn> {
        self.slots.iter_mut().filter_map(Option::as_deref_mut)
    }
}
