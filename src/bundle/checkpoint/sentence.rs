//! The files of `sentence-transformers` beside a checkpoint: how hidden states become the vector of a text.
//!
//! `modules.json` names the steps: the transformer, the pooling, then maybe dense layers and the normalisation to length 1.

use serde_json::Value;

use crate::bundle::checkpoint::files::Files;
use crate::encode::Batch;
use crate::encoder::{Encoder, Pooling, Precision, Weights};
use crate::error::{CheckpointFault, Result};
use crate::head::Linear;

/// What the files say.
#[derive(Default)]
pub(super) struct Sentence {
    /// Whether there is a modules.json.
    pub(super) has_modules: bool,
    /// Where the transformer is, with a slash at the end; empty for the folder itself.
    pub(super) folder: String,
    pub(super) pooling: Option<Pooling>,
    pub(super) max_length: Option<usize>,
    pub(super) lower_case: bool,
    /// What stands before every text.
    pub(super) prefix: String,
    steps: Vec<Step>,
}

/// What happens to a pooled vector.
enum Step {
    /// The folder of a dense layer.
    Dense(String),
    Normalize,
}

impl Sentence {
    pub(super) fn read(files: &mut Files<'_>) -> Result<Self, CheckpointFault> {
        let mut sentence = Self::default();
        let Some(modules) = files.json("modules.json")? else { return Ok(sentence) };
        sentence.has_modules = true;
        for module in modules.as_array().map_or(&[][..], Vec::as_slice) {
            let path = module["path"].as_str().unwrap_or_default();
            let folder = if path.is_empty() { String::new() } else { format!("{path}/") };
            if !is_inside(path) {
                return Err(config(
                    "modules.json",
                    format!("it names the folder {path:?}, which is not inside the checkpoint"),
                ));
            }
            let kind = module["type"].as_str().unwrap_or_default();
            match kind.rsplit('.').next().unwrap_or_default() {
                "Transformer" => sentence.folder = folder,
                "Pooling" => sentence.pooling = Some(pooling(files, &format!("{folder}config.json"))?),
                "Dense" => sentence.steps.push(Step::Dense(folder)),
                "Normalize" => sentence.steps.push(Step::Normalize),
                _ => {
                    return Err(config(
                        "modules.json",
                        format!(
                            "it names the module {kind:?}; Transformer, Pooling, Dense and Normalize can be computed"
                        ),
                    ));
                }
            }
        }
        let name = sentence.file("sentence_bert_config.json");
        if let Some(json) = files.json(&name)? {
            sentence.max_length = json["max_seq_length"].as_u64().map(|length| length as usize);
            sentence.lower_case = json["do_lower_case"].as_bool().unwrap_or(false);
        }
        if let Some(json) = files.json("config_sentence_transformers.json")?
            && let Some(name) = json["default_prompt_name"].as_str()
        {
            let prompt = json["prompts"][name].as_str();
            let missing = || {
                config("config_sentence_transformers.json", format!("there is no prompt {name:?} among its prompts"))
            };
            sentence.prefix = prompt.ok_or_else(missing)?.to_owned();
        }
        Ok(sentence)
    }

    /// Whether vectors are brought to length 1; `None` if something else happens to them as well.
    pub(super) fn normalize_alone(&self) -> Option<bool> {
        match self.steps[..] {
            [] => Some(false),
            [Step::Normalize] => Some(true),
            _ => None,
        }
    }

    /// The name of one of the transformer's files.
    pub(super) fn file(&self, name: &str) -> String {
        format!("{}{name}", self.folder)
    }
}

/// Whether a path leads to a folder below.
fn is_inside(path: &str) -> bool {
    path.is_empty() || path.split('/').all(crate::bundle::is_plain_name)
}

fn config(file: &str, problem: String) -> CheckpointFault {
    CheckpointFault::Config { file: file.into(), problem }
}

/// One of the poolings that we have, alone; older files have a flag for each, newer ones a name.
fn pooling(files: &mut Files<'_>, name: &str) -> Result<Pooling, CheckpointFault> {
    let json = files.needed(name)?;
    let json: Value =
        serde_json::from_slice(&json).map_err(|source| CheckpointFault::Json { file: name.into(), source })?;
    let flag = |(key, value): (&String, &Value)| {
        let mode = key.strip_prefix("pooling_mode_").filter(|_| value.as_bool() == Some(true))?;
        Some(mode.trim_end_matches("_tokens").trim_end_matches("_token").to_owned())
    };
    let modes: Vec<String> = match &json["pooling_mode"] {
        Value::String(mode) => vec![mode.clone()],
        Value::Array(modes) => modes.iter().filter_map(|mode| Some(mode.as_str()?.to_owned())).collect(),
        _ => json.as_object().map_or_else(Vec::new, |fields| fields.iter().filter_map(flag).collect()),
    };
    if json["include_prompt"].as_bool() == Some(false) && modes != ["cls"] {
        return Err(config(
            name,
            "include_prompt is false: prompts are left out of the mean, which cannot be computed".into(),
        ));
    }
    match modes.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["mean"] => Ok(Pooling::Mean),
        ["cls"] => Ok(Pooling::Cls),
        _ => Err(config(name, format!("the pooling is {modes:?}; \"mean\" or \"cls\" alone can be computed"))),
    }
}

/// A dense layer: y = tanh(W x + b), or without tanh.
struct Dense {
    linear: Linear,
    has_tanh: bool,
}

enum Computed {
    Dense(Dense),
    Normalize,
}

/// An encoder whose vectors go through the steps behind the pooling.
pub(crate) struct SentenceEncoder {
    encoder: Box<dyn Encoder>,
    steps: Vec<Computed>,
    hidden_size: usize,
}

impl SentenceEncoder {
    /// Vectors of length 1.
    pub(crate) fn normalizing(encoder: Box<dyn Encoder>, hidden_size: usize) -> Box<dyn Encoder> {
        Box::new(Self { encoder, steps: vec![Computed::Normalize], hidden_size })
    }

    pub(super) fn over(
        encoder: Box<dyn Encoder>,
        sentence: &Sentence,
        files: &mut Files<'_>,
        hidden_size: usize,
    ) -> Result<Box<dyn Encoder>, CheckpointFault> {
        if sentence.steps.is_empty() {
            return Ok(encoder);
        }
        let mut width = hidden_size;
        let mut steps = Vec::new();
        for step in &sentence.steps {
            steps.push(match step {
                Step::Normalize => Computed::Normalize,
                Step::Dense(folder) => {
                    let dense = Dense::read(files, folder, width)?;
                    width = dense.linear.rows();
                    Computed::Dense(dense)
                }
            });
        }
        Ok(Box::new(Self { encoder, steps, hidden_size }))
    }
}

impl Encoder for SentenceEncoder {
    fn forward(&self, batch: &Batch<'_>) -> Result<Vec<f32>> {
        let vectors = self.encoder.forward(batch)?;
        let step = |vector: Vec<f32>, step: &Computed| match step {
            Computed::Dense(dense) => dense.apply(&vector),
            Computed::Normalize => normalized(vector),
        };
        let rows = vectors.chunks_exact(self.hidden_size);
        Ok(rows.flat_map(|vector| self.steps.iter().fold(vector.to_vec(), step)).collect())
    }

    fn kernel(&self) -> &'static str {
        self.encoder.kernel()
    }

    fn precision(&self) -> Precision {
        self.encoder.precision()
    }
}

impl Dense {
    fn read(files: &mut Files<'_>, folder: &str, columns: usize) -> Result<Self, CheckpointFault> {
        let name = format!("{folder}config.json");
        let json = files.json(&name)?.unwrap_or_default();
        let activation = json["activation_function"].as_str().unwrap_or_default();
        let has_tanh = match activation.rsplit('.').next().unwrap_or_default() {
            "Tanh" => true,
            "Identity" => false,
            _ => {
                return Err(config(
                    &name,
                    format!("activation_function is {activation:?}; Tanh and Identity can be computed"),
                ));
            }
        };
        let shards = files.weights(folder)?;
        let views: Vec<(&str, &[u8])> = shards.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        let weights = Weights::read_shards(&views)?;
        Ok(Self { linear: Linear::load_any(&weights, "linear", columns)?, has_tanh })
    }

    fn apply(&self, x: &[f32]) -> Vec<f32> {
        let mut y = self.linear.apply(x);
        if self.has_tanh {
            y.iter_mut().for_each(|value| *value = value.tanh());
        }
        y
    }
}

/// Of length 1; the vector of zeros stays as it is.
fn normalized(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
    }
    vector
}
