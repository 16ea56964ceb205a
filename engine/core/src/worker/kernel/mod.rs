//! Directions of splices that the kernel forwards: handed over when nothing is special about them, taken back before anything is.

mod offer;
mod recall;

use std::collections::BTreeSet;

use super::Worker;
use crate::LegIx;
use crate::kernel::{KernelPath, Patience};

/// The path of one worker.
#[derive(Debug)]
pub(super) struct Kernel {
    path: Box<dyn KernelPath>,
    patience: Patience,
    /// Legs of which it forwards what they say.
    legs: BTreeSet<LegIx>,
}

impl Worker {
    /// The same worker, which hands over plain directions of its splices.
    pub fn with_kernel(self, path: Box<dyn KernelPath>) -> Self {
        self.with_patient_kernel(path, Patience::default())
    }

    /// The same, with another patience than the usual one.
    pub fn with_patient_kernel(self, path: Box<dyn KernelPath>, patience: Patience) -> Self {
        Self { kernel: Some(Kernel { path, patience, legs: BTreeSet::new() }), ..self }
    }

    /// Whether the kernel forwards what a leg says.
    pub fn is_in_kernel(&self, leg: LegIx) -> bool {
        self.legs.get(leg.index()).is_some_and(|leg| leg.in_kernel().is_some())
    }
}
