//! Whether a repair helped: what was seen before it and after it.

use std::cell::RefCell;

use tracing::{info, warn};

use crate::host::SharedMask;
use crate::model::condition::Condition;
use crate::model::fault::{Fault, Repair};
use crate::output::progress::Progress;
use crate::output::record::Repaired;

/// The repairs of one run.
#[derive(Debug, Default)]
pub struct Effects(RefCell<Vec<(Condition, Repaired)>>);

impl Effects {
    /// A repair ran to its end; what comes of it is for the next looks to say.
    pub fn begin(&self, repair: Repair, fault: &Fault) {
        self.0.borrow_mut().push((
            fault.kind.condition,
            Repaired {
                repair: repair.describe().to_owned(),
                fault: fault.code().to_owned(),
                before: fault.evidence.clone(),
                after: None,
                helped: None,
            },
        ));
    }

    /// The condition holds.
    pub fn holds(&self, condition: Condition, evidence: &str) {
        for (of, done) in self.0.borrow_mut().iter_mut() {
            // What is slow to take effect has been called vain before.
            if *of == condition && done.helped != Some(true) {
                done.judge(true, evidence);
                info!(
                    event = "repair.helped",
                    fault = %done.fault,
                    before = %done.before,
                    after = %evidence,
                    "{} helped: {evidence}",
                    done.repair
                );
            }
        }
    }

    /// A fault is met after repairs: the same one again means that the last repair of it did not help.
    pub fn fails(&self, fault: &Fault, progress: &Progress) {
        let mut all = self.0.borrow_mut();
        let last = all.iter_mut().rev().find(|(_, done)| done.fault == fault.code());
        if let Some((_, done)) = last.filter(|(_, done)| done.helped != Some(false)) {
            done.judge(false, &fault.evidence);
            warn!(
                event = "repair.without-effect",
                fault = %done.fault,
                before = %done.before,
                after = %fault.evidence,
                "{} has not helped: before: {}; after: {}",
                done.repair,
                done.before,
                fault.evidence
            );
            progress.in_vain(fault.kind.condition, done);
        }
    }

    /// What was done, in order, without secrets.
    pub fn into_record(self, mask: &SharedMask) -> Vec<Repaired> {
        let masked = |(_, done): (Condition, Repaired)| Repaired {
            before: mask.apply(&done.before),
            after: done.after.as_deref().map(|after| mask.apply(after)),
            ..done
        };
        self.0.into_inner().into_iter().map(masked).collect()
    }
}
