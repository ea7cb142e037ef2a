//! Tracks whether repairs helped, with the evidence before and after each.

use tracing::{info, warn};

use crate::host::SharedMask;
use crate::model::condition::Condition;
use crate::model::fault::Fault;
use crate::output::record::Repaired;

/// The repairs of one run.
#[derive(Debug, Default)]
pub struct RepairLog(Vec<(Condition, Repaired)>);

impl RepairLog {
    /// Records a completed repair; later observations decide whether it helped.
    pub fn begin(&mut self, action: &str, fault: &Fault) {
        self.0.push((
            fault.kind.condition,
            Repaired {
                repair: action.to_owned(),
                fault: fault.code().to_owned(),
                before: fault.evidence.clone(),
                after: None,
                helped: None,
            },
        ));
    }

    /// Records that the condition holds: its repairs have helped.
    pub fn holds(&mut self, condition: Condition, evidence: &str) {
        for (of, done) in &mut self.0 {
            // A repair that takes effect slowly may have been recorded as without effect before.
            if *of == condition && done.helped != Some(true) {
                done.set_result(true, evidence);
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

    /// Records a fault. If its last repair did not help, returns that repair the first time.
    pub fn fails(&mut self, fault: &Fault) -> Option<&Repaired> {
        let last = self.0.iter_mut().rev().find(|(_, done)| done.fault == fault.code());
        let (_, done) = last.filter(|(_, done)| done.helped != Some(false))?;
        done.set_result(false, &fault.evidence);
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
        Some(done)
    }

    /// Whether no repair was completed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The repairs in order, with secrets redacted.
    pub fn into_record(self, mask: &SharedMask) -> Vec<Repaired> {
        let masked = |(_, done): (Condition, Repaired)| Repaired {
            before: mask.apply(&done.before),
            after: done.after.as_deref().map(|after| mask.apply(after)),
            ..done
        };
        self.0.into_iter().map(masked).collect()
    }
}
