//! The calibration behind a zero-shot scheme, in the same file: written by `detente tune`, for one checkpoint and one wording.

use serde::{Deserialize, Serialize};

use crate::bundle::hex_sha256;
use crate::calibration::Calibration;

/// The line that the calibration begins with; everything before it is the scheme.
const MARK: &str =
    "# Calibration, written by detente tune: for this checkpoint, and for the scheme above as it stands.";

/// `[calibration]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CalibrationToml {
    /// Hexadecimal sha256 of the checkpoint.
    checkpoint: String,
    /// Hexadecimal sha256 of the scheme before the mark.
    scheme: String,
    /// As in the `calibration.json` of a bundle.
    values: Calibration,
}

impl CalibrationToml {
    pub(super) fn new(checkpoint_sha256: &str, scheme_text: &str, calibration: &Calibration) -> Self {
        Self {
            checkpoint: checkpoint_sha256.into(),
            scheme: hex_sha256(scheme_text.as_bytes()),
            values: calibration.clone(),
        }
    }

    /// The numbers, if they are for this checkpoint and this wording.
    pub(super) fn values_for(&self, checkpoint_sha256: &str, scheme_text: &str) -> Result<Calibration, String> {
        let remedy = "fit it anew with `detente tune`, or delete everything from the line \"# Calibration\" on";
        if self.checkpoint != checkpoint_sha256 {
            return Err(format!(
                "calibration.checkpoint is {:?}, this checkpoint has the sha256 {checkpoint_sha256:?}: the calibration is for \
                 another one; {remedy}",
                self.checkpoint
            ));
        }
        if self.scheme != hex_sha256(scheme_text.as_bytes()) {
            return Err(format!(
                "calibration.scheme is not the sha256 of the scheme above it, which was changed since; {remedy}"
            ));
        }
        Ok(self.values.clone())
    }

    /// As it stands in the file.
    pub(super) fn to_text(&self) -> String {
        #[derive(Serialize)]
        struct File<'a> {
            calibration: &'a CalibrationToml,
        }
        let toml = toml::to_string(&File { calibration: self }).expect("strings, numbers and lists of them are TOML");
        format!("{MARK}\n{toml}")
    }
}

/// What stands before the calibration.
pub(super) fn without_calibration(text: &str, has_calibration: bool) -> Result<String, String> {
    match text.find(MARK) {
        Some(place) => Ok(text[..place].trim_end().to_owned()),
        None if has_calibration => Err(format!(
            "calibration stands without the line {MARK:?} before it; write it with `detente tune`, or delete it"
        )),
        None => Ok(text.trim_end().to_owned()),
    }
}
