//! The JSON of `/v1`: what requests hold and what answers say. The OpenAPI document is made from these types.
//!
//! Numbers are rounded as in the records of the command line (`docs/output.md`), so that both say the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use crate::serve::body::{object, optional_object};

/// What to label: either `texts` or `document`.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClassifyRequest {
    /// Texts that are labelled as they are, one paragraph each.
    #[schema(example = json!(["Beide Seiten haben sich auf eine Waffenruhe geeinigt."]))]
    pub(crate) texts: Option<Vec<String>>,
    /// A document, which is cut into its paragraphs first.
    #[serde(default, deserialize_with = "optional_object")]
    pub(crate) document: Option<DocumentRequest>,
    /// How to decide, and what to leave out.
    #[serde(default, deserialize_with = "object")]
    pub(crate) options: ClassifyOptions,
}

/// A document: either `text` or `html`.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DocumentRequest {
    /// Name of the document, which comes back in the answer.
    pub(crate) id: Option<String>,
    /// Plain text or Markdown.
    pub(crate) text: Option<String>,
    /// An HTML page; its visible text is labelled.
    pub(crate) html: Option<String>,
}

/// How to decide, and what to leave out.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ClassifyOptions {
    /// Names of the topics to give; all by default.
    pub(crate) topics: Option<Vec<String>>,
    /// Least probability from which on a label applies, instead of the bundle's: by name of the topic, or `boilerplate`. Of
    /// a checkpoint with one label of many, only the most probable topic can apply.
    #[schema(example = json!({"military": 0.6}))]
    pub(crate) thresholds: BTreeMap<String, f64>,
    /// Least probability that a decision must have to be given, by name of the topic, of the scale, or `boilerplate`; a
    /// decision with less comes as `null`, but for topics and level of boilerplate, which follow from it. `detente eval --target-precision` finds such numbers.
    #[schema(example = json!({"escalation": 0.5}))]
    pub(crate) abstain: BTreeMap<String, f64>,
    /// Whether the answer repeats the text of each paragraph.
    #[schema(default = true)]
    pub(crate) return_text: bool,
    /// Whether to say which words of each paragraph moved its labels. Every paragraph is read again without each of its
    /// words, which costs as much as labelling it some fifty times; `limits.explain_bytes` of `/v1/model` bounds it.
    #[schema(default = false)]
    pub(crate) explain: bool,
}

impl Default for ClassifyOptions {
    fn default() -> Self {
        Self { topics: None, thresholds: BTreeMap::new(), abstain: BTreeMap::new(), return_text: true, explain: false }
    }
}

/// The labels of a request.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct ClassifyAnswer {
    /// The bundle that labelled every paragraph of this answer: `name@version+first 8 digits of its sha256`.
    #[schema(example = "detente-mini@0.5.0+5900f78a")]
    pub(crate) bundle: String,
    /// The document's name, if it was given one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) document: Option<String>,
    /// One for each text, or for each paragraph of the document, in their order.
    pub(crate) paragraphs: Vec<ParagraphAnswer>,
}

/// The labels of a paragraph.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct ParagraphAnswer {
    /// Its place, counted from 0.
    pub(crate) index: usize,
    /// Where it begins: bytes of UTF-8 in the document's text, or 0 of a text.
    pub(crate) start: usize,
    /// Where it ends.
    pub(crate) end: usize,
    /// What stands there; absent if the request says `return_text: false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    /// BCP-47 code of the language it seems to be written in; `und` where that cannot be told.
    #[schema(example = "de")]
    pub(crate) language: String,
    /// Whether the bundle was validated for that language.
    pub(crate) language_validated: bool,
    /// Whether it belongs to the article; absent if the bundle does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) boilerplate: Option<FlagAnswer>,
    /// Each topic asked for, in the order of the bundle. Of boilerplate, none applies.
    pub(crate) topics: Vec<TopicAnswer>,
    /// The level on the bundle's scale; absent if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scale: Option<ScaleAnswer>,
    /// Windows that it was read in; more than 1 if it is longer than the bundle's longest.
    pub(crate) windows: usize,
    /// Its tokens.
    pub(crate) tokens: usize,
    /// Which words moved the labels; absent unless the request says `explain: true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) explanation: Option<ExplanationAnswer>,
}

/// A label that applies or not.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct FlagAnswer {
    /// Calibrated probability.
    #[schema(required = true, minimum = 0, maximum = 1)]
    pub(crate) probability: Option<f64>,
    /// The decision; null where `abstain` withholds it.
    #[schema(required = true)]
    pub(crate) applies: Option<bool>,
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct TopicAnswer {
    /// Its name.
    #[schema(example = "military")]
    pub(crate) name: String,
    /// Calibrated probability.
    #[schema(required = true, minimum = 0, maximum = 1)]
    pub(crate) probability: Option<f64>,
    /// The decision; null where `abstain` withholds it.
    #[schema(required = true)]
    pub(crate) applies: Option<bool>,
}

/// The level on a scale.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct ScaleAnswer {
    /// Name of the scale.
    #[schema(example = "escalation")]
    pub(crate) name: String,
    /// Code of the decided level; null where `abstain` withholds it.
    #[schema(required = true, example = 1)]
    pub(crate) level: Option<i32>,
    /// Name of that level.
    #[schema(required = true, example = "escalatory")]
    pub(crate) level_name: Option<String>,
    /// Mean code under the probabilities.
    #[schema(required = true)]
    pub(crate) expected: Option<f64>,
    /// Each level with its probability, from the lowest to the highest; they sum to 1.
    pub(crate) levels: Vec<LevelAnswer>,
}

/// One level and its probability.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct LevelAnswer {
    /// The code.
    pub(crate) code: i32,
    /// The name.
    pub(crate) name: String,
    /// Calibrated probability.
    #[schema(required = true, minimum = 0, maximum = 1)]
    pub(crate) probability: Option<f64>,
}

/// Which words moved the labels of a paragraph.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct ExplanationAnswer {
    /// Times that the paragraph was read without some of its words.
    pub(crate) readings: usize,
    /// Its words, in the order of the text; of a long paragraph some of them together.
    pub(crate) parts: Vec<PartAnswer>,
}

/// A word, or some words together, and what it would change to leave it out.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct PartAnswer {
    /// Where it begins, in bytes, counted as those of the paragraph are.
    pub(crate) start: usize,
    /// Where it ends.
    pub(crate) end: usize,
    /// What stands there; absent if the request says `return_text: false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    /// Its words.
    pub(crate) words: usize,
    /// By how much it raises each number, by name of the topic, of the scale, or `boilerplate`: a difference of probabilities, of
    /// the scale a difference of expected levels. Negative where it lowers the number.
    pub(crate) weights: Weights,
}

/// Weights by the names of their labels, in the order of the bundle.
#[derive(Debug, Clone, PartialEq, ToSchema)]
#[schema(value_type = BTreeMap<String, f64>, example = json!({"military": 0.21, "escalation": 0.4, "boilerplate": -0.01}))]
pub(crate) struct Weights(pub(crate) Vec<(String, Option<f64>)>);

impl Serialize for Weights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, weight)| (name, weight)))
    }
}

/// The bundle in use, and what the server takes.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct ModelAnswer {
    /// Name, version and the first 8 digits of the sha256.
    #[schema(example = "detente-mini@0.5.0+5900f78a")]
    pub(crate) id: String,
    /// Name, which is also that of the model in the Open Inference Protocol.
    pub(crate) name: String,
    /// Version of the bundle.
    pub(crate) version: String,
    /// Hexadecimal sha256 of its manifest, which holds those of all its files.
    pub(crate) sha256: String,
    /// SPDX expression.
    pub(crate) license: String,
    /// BCP-47 codes of the languages that figures exist for.
    pub(crate) languages: Vec<String>,
    /// The topics.
    pub(crate) topics: Vec<TopicDeclared>,
    /// The scale, if it has one.
    pub(crate) scale: Option<ScaleDeclared>,
    /// Least probability of boilerplate; null if the bundle does not tell boilerplate.
    pub(crate) boilerplate_threshold: Option<f64>,
    /// The encoder in a few words.
    pub(crate) encoder: String,
    /// Longest window, in tokens.
    pub(crate) max_length: usize,
    /// What computes.
    pub(crate) kernel: String,
    /// Version of the program.
    pub(crate) program: String,
    /// What a request may hold.
    pub(crate) limits: LimitsDeclared,
}

/// A topic as the bundle declares it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct TopicDeclared {
    /// Name.
    pub(crate) name: String,
    /// One sentence.
    pub(crate) description: String,
    /// Least probability from which on it applies.
    pub(crate) threshold: f64,
}

/// A scale as the bundle declares it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct ScaleDeclared {
    /// Name.
    pub(crate) name: String,
    /// Its levels, from the lowest to the highest.
    pub(crate) levels: Vec<LevelDeclared>,
}

/// A level as the bundle declares it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct LevelDeclared {
    /// Code.
    pub(crate) code: i32,
    /// Name.
    pub(crate) name: String,
}

/// What a request may hold.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct LimitsDeclared {
    /// Bytes of a body, and of a line of a stream.
    pub(crate) body_bytes: usize,
    /// Texts, or paragraphs of a document.
    pub(crate) texts: usize,
    /// Bytes of text that the readings of an explained request have together.
    pub(crate) explain_bytes: usize,
}

/// A change of bundle.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct ReloadAnswer {
    /// The bundle before.
    pub(crate) before: String,
    /// The bundle now.
    pub(crate) now: String,
}

/// Health, in a word.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct HealthAnswer {
    /// `live`, `ready` or `stopping`.
    pub(crate) status: &'static str,
}
