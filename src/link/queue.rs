//! Segments that are not sent yet: those with a due time, in its order, and the octets that all of
//! them may take together.

use core::net::IpAddr;
use std::collections::BTreeMap;

use super::limits::MAX_OCTETS;
use crate::time::Instant;

/// A segment that the link has taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Parcel {
    pub(super) from: IpAddr,
    pub(super) to: IpAddr,
    pub(super) octets: Box<[u8]>,
    /// The caller's number; `None`: forged.
    pub(super) serial: Option<u64>,
}

/// Octets that all parcels of a link take.
#[derive(Debug, Default)]
pub(super) struct Store {
    octets: usize,
}

impl Store {
    /// Makes room for so many octets; `false`: there is none.
    pub(super) fn reserve(&mut self, octets: usize) -> bool {
        let fits = self.octets + octets <= MAX_OCTETS;
        if fits {
            self.octets += octets;
        }
        fits
    }

    pub(super) fn give_back(&mut self, octets: usize) {
        self.octets = self.octets.saturating_sub(octets);
    }
}

/// Parcels by due time; equals in the order they came.
#[derive(Debug, Default)]
pub(super) struct Queue {
    parcels: BTreeMap<(Instant, u64), Parcel>,
    count: u64,
    octets: usize,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.parcels.len()
    }

    pub(super) fn octets(&self) -> usize {
        self.octets
    }

    pub(super) fn push(&mut self, due: Instant, parcel: Parcel) {
        self.octets += parcel.octets.len();
        self.count += 1;
        self.parcels.insert((due, self.count), parcel);
    }

    /// When the first is due.
    pub(super) fn first_due(&self) -> Option<Instant> {
        self.parcels.first_key_value().map(|(&(due, _), _)| due)
    }

    /// When the last is due.
    pub(super) fn last_due(&self) -> Option<Instant> {
        self.parcels.last_key_value().map(|(&(due, _), _)| due)
    }

    pub(super) fn pop(&mut self) -> Option<Parcel> {
        let (_, parcel) = self.parcels.pop_first()?;
        self.octets -= parcel.octets.len();
        Some(parcel)
    }

    /// Every parcel, in its order.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Parcel> {
        self.octets = 0;
        core::mem::take(&mut self.parcels).into_values()
    }
}
