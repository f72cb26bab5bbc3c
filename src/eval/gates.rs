//! Gates: figures that must hold, so that CI can hold a line.
//!
//! In: `gates.toml`, a [`Report`]. Out: what does not hold.
//!
//! ```toml
//! [[gate]]
//! figure = "topics.macro_f1"
//! min = 0.70
//! # system = "detente-mini"   # without it: every system that is not a baseline
//! # by = "lang"               # with `value`: a slice that the report was asked for
//! # value = "de"
//! ```

use std::path::Path;

use serde::Deserialize;

use crate::error::{Error, InputFault, Result};
use crate::eval::behaviour::{BehaviourSlice, BehaviourSystem};
use crate::eval::report::{Dimension, Report, Scores, SystemKind};

/// What the names of rates on minimal pairs begin with.
const BEHAVIOUR: &str = "behaviour.";

/// What must hold of a report.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gates {
    /// The gates, in the order of the file.
    pub gate: Vec<Gate>,
}

/// One figure's bounds.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// Name of the figure, as in the JSON report.
    pub figure: String,
    /// Least value that passes.
    pub min: Option<f64>,
    /// Greatest value that passes.
    pub max: Option<f64>,
    /// Name of the system; without it every system that is not a baseline.
    pub system: Option<String>,
    /// Dimension of the slice; without it all items.
    pub by: Option<String>,
    /// Which slice.
    pub value: Option<String>,
}

/// A gate that does not hold, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateFailure(pub String);

impl Gates {
    /// Reads a gates file.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Input`] if it is not the TOML described above, or if a gate has no bound or names a slice by half.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.into(), source })?;
        Self::parse(&text).map_err(|what| Error::Input { path: path.into(), what })
    }

    fn parse(text: &str) -> Result<Self, InputFault> {
        let gates: Self = toml::from_str(text).map_err(InputFault::Toml)?;
        for gate in &gates.gate {
            let setting = |problem: &str| InputFault::Setting(format!("the gate for {:?} {problem}", gate.figure));
            if gate.min.is_none() && gate.max.is_none() {
                return Err(setting("has no bound; give min or max"));
            }
            if gate.by.is_some() != gate.value.is_some() {
                return Err(setting("names a slice by half; give by and value, or neither"));
            }
        }
        Ok(gates)
    }
}

impl Report {
    /// What does not hold. A figure that the report lacks, or that is not defined, does not hold.
    pub fn check(&self, gates: &Gates) -> Vec<GateFailure> {
        let mut failures = Vec::new();
        for gate in &gates.gate {
            let place = gate.place();
            let found = match self.values(gate) {
                Ok(found) => found,
                Err(problem) => {
                    failures.push(GateFailure(format!("{}{place}: {problem}", gate.figure)));
                    continue;
                }
            };
            let systems = self.systems.iter().zip(found).filter(|(system, _)| match &gate.system {
                Some(name) => *name == system.name,
                None => system.kind != SystemKind::Baseline,
            });
            let mut checked = false;
            for (system, value) in systems {
                checked = true;
                if let Some(problem) = gate.problem(value) {
                    failures.push(GateFailure(format!("{}{place} of {} {problem}", gate.figure, system.name)));
                }
            }
            if !checked {
                let wanted = gate.system.as_deref().unwrap_or("that is not a baseline");
                failures.push(GateFailure(format!("{}{place}: the report has no system {wanted}", gate.figure)));
            }
        }
        failures
    }

    /// The figure that a gate names, for each system in the order of the report: `None` if the system has no such figure, `Some(None)` if
    /// it is not defined.
    fn values(&self, gate: &Gate) -> Result<Vec<Option<Option<f64>>>, &'static str> {
        if !gate.figure.starts_with(BEHAVIOUR) {
            let slice = self.slices.iter().find(|slice| gate.is_on(slice.by, slice.value.as_ref()));
            let slice = slice.ok_or("the report has no such slice")?;
            let of = |scores: &Scores| {
                let figure = scores.figures.iter().find(|figure| figure.name == gate.figure);
                figure.map(|figure| figure.value)
            };
            return Ok(slice.systems.iter().map(of).collect());
        }
        let behaviour = self.behaviour.as_ref().ok_or("the report has no pairs; name their files with --behaviour")?;
        let is_meant = |slice: &&BehaviourSlice| {
            let name = gate.figure[BEHAVIOUR.len()..].rsplit_once('.').map_or("", |(name, _)| name);
            slice.behaviour == name && gate.is_on(slice.by, slice.value.as_ref())
        };
        let slice = behaviour.slices.iter().find(is_meant).ok_or("the report has no such behaviour or slice")?;
        let of = |scores: &BehaviourSystem| {
            let rate = scores.figures.iter().find(|rate| rate.name == gate.figure);
            rate.map(|rate| rate.value)
        };
        Ok(slice.systems.iter().map(of).collect())
    }
}

impl Gate {
    fn place(&self) -> String {
        match (&self.by, &self.value) {
            (Some(by), Some(value)) => format!(" on {by} {value}"),
            _ => String::new(),
        }
    }

    fn is_on(&self, by: Option<Dimension>, value: Option<&String>) -> bool {
        by.map(Dimension::name) == self.by.as_deref() && value == self.value.as_ref()
    }

    fn problem(&self, found: Option<Option<f64>>) -> Option<String> {
        let value = match found {
            None => return Some("is not in the report".into()),
            Some(None) => return Some("is not defined".into()),
            Some(Some(value)) => value,
        };
        if let Some(min) = self.min.filter(|min| value < *min) {
            return Some(format!("is {value:.4}, the gate asks for at least {min}"));
        }
        self.max.filter(|max| value > *max).map(|max| format!("is {value:.4}, the gate asks for at most {max}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::report::{ReportOptions, System, score};
    use crate::eval::tests::World;

    #[test]
    fn what_does_not_hold_is_said() {
        let mut world = World::new(2);
        let gold = world.gold(40);
        let system = |name: &str, kind, predicted| System { name: name.into(), kind, predicted };
        let systems = [
            system("ours", SystemKind::Bundle, world.system(&gold, 0.6)),
            system("chance", SystemKind::Baseline, world.system(&gold, 0.0)),
        ];
        let options = ReportOptions { by: vec![Dimension::Lang], ..ReportOptions::default() };
        let report = score(&world.scheme, &gold, &systems, &options);
        for (gate, expected) in [
            ("figure = 'topics.macro_f1'\nmin = 0.3", ""),
            ("figure = 'topics.macro_f1'\nmin = 0.99", "topics.macro_f1 of ours is 0."),
            ("figure = 'topics.macro_f1'\nmin = 0.7\nsystem = 'chance'", "the gate asks for at least 0.7"),
            (
                "figure = 'topics.false_alarm_rate'\nmax = -0.5\nby = 'lang'\nvalue = 'de'",
                "rate on lang de of ours is 0.",
            ),
            ("figure = 'topics.f1'\nmin = 0", "topics.f1 of ours is not in the report"),
            ("figure = 'topics.macro_f1'\nmin = 0\nby = 'lang'\nvalue = 'fr'", "the report has no such slice"),
            ("figure = 'topics.macro_f1'\nmin = 0\nsystem = 'x'", "the report has no system x"),
        ] {
            let gates = Gates::parse(&format!("[[gate]]\n{gate}")).unwrap();
            let failures = report.check(&gates);
            let words: Vec<&str> = failures.iter().map(|failure| failure.0.as_str()).collect();
            assert!(
                if expected.is_empty() { words.is_empty() } else { words[0].contains(expected) },
                "{gate}: {words:?}"
            );
        }
    }

    #[test]
    fn bad_gates_are_named() {
        for (gate, expected) in [
            ("figure = 'x'", r#"the gate for "x" has no bound; give min or max"#),
            ("figure = 'x'\nmin = 1\nby = 'lang'", "names a slice by half"),
            ("figur = 'x'", "unknown field"),
        ] {
            let error = Gates::parse(&format!("[[gate]]\n{gate}")).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
