//! `config.json` as transformers 4 and 5 write it, reduced to what an encoder needs.
//!
//! Both versions leave out what equals a default of theirs, and version 5 renames and nests some fields, so every field
//! that may be missing has transformers' own default here.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::BundleFault;

/// The architectures that can be opened, named as `model_type` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Family {
    /// BERT: MiniLM, multilingual-e5-small, LaBSE and ours.
    Bert,
    /// RoBERTa and XLM-RoBERTa: multilingual-e5-base and -large, bge-m3, twitter-xlm-roberta.
    #[serde(alias = "xlm-roberta")]
    Roberta,
    /// DistilBERT.
    #[serde(rename = "distilbert")]
    DistilBert,
    /// DeBERTa-v2 and -v3, mDeBERTa.
    DebertaV2,
    /// ModernBERT and mmBERT.
    #[serde(rename = "modernbert")]
    ModernBert,
    /// No transformer: a vector from a hash of the ids, for tests without arithmetic.
    Hash,
}

impl Family {
    /// The family of transformers' `model_type`.
    pub(crate) fn of(model_type: &str) -> Option<Self> {
        Some(match model_type {
            "bert" => Self::Bert,
            "roberta" | "xlm-roberta" => Self::Roberta,
            "distilbert" => Self::DistilBert,
            "deberta-v2" => Self::DebertaV2,
            "modernbert" => Self::ModernBert,
            _ => return None,
        })
    }

    /// `model_type`, for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bert => "bert",
            Self::Roberta => "roberta",
            Self::DistilBert => "distilbert",
            Self::DebertaV2 => "deberta-v2",
            Self::ModernBert => "modernbert",
            Self::Hash => "hash",
        }
    }

    /// What stands before the encoder's tensors in a checkpoint that has a head, too.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Bert => "bert.",
            Self::Roberta => "roberta.",
            Self::DistilBert => "distilbert.",
            Self::DebertaV2 => "deberta.",
            Self::ModernBert => "model.",
            Self::Hash => "",
        }
    }

    /// A tensor that every encoder of the family has: the embeddings of its pieces, (vocabulary, H).
    pub(crate) fn word_embeddings(self) -> &'static str {
        match self {
            Self::ModernBert => "embeddings.tok_embeddings.weight",
            _ => "embeddings.word_embeddings.weight",
        }
    }
}

/// So many int8 products fit into a 32-bit sum.
const LARGEST_SIZE: usize = 65_536;

/// The activation between the two linear maps of a feed-forward block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Activation {
    /// GELU with the error function, exact.
    #[serde(rename = "gelu", alias = "gelu_python")]
    Gelu,
    /// GELU by its tanh approximation.
    #[serde(rename = "gelu_new", alias = "gelu_pytorch_tanh", alias = "gelu_fast")]
    GeluTanh,
    /// max(0, x).
    #[serde(rename = "relu")]
    Relu,
}

/// Shape and constants of an encoder.
#[derive(Debug, Clone)]
pub(crate) struct EncoderConfig {
    pub(crate) family: Family,
    /// H
    pub(crate) hidden_size: usize,
    pub(crate) vocab_size: usize,
    pub(crate) layers: usize,
    /// A
    pub(crate) heads: usize,
    pub(crate) intermediate_size: usize,
    /// Tokens of the longest window that the encoder can take.
    pub(crate) max_tokens: usize,
    /// Row of the position embeddings that the first token gets.
    pub(crate) first_position: usize,
    pub(crate) token_types: usize,
    pub(crate) layer_norm_eps: f64,
    pub(crate) activation: Activation,
    /// What only DeBERTa has.
    pub(crate) relative: Option<RelativePositions>,
    /// What only ModernBERT has.
    pub(crate) rotary: Option<RotaryPositions>,
}

impl EncoderConfig {
    /// Multiplications in the matrix products of all layers for one token, where a layer has the six of BERT.
    pub(crate) fn products_per_token(&self) -> Option<u64> {
        let is_plain = matches!(self.family, Family::Bert | Family::Roberta | Family::DistilBert);
        let layer = 4 * self.hidden_size * self.hidden_size + 2 * self.hidden_size * self.intermediate_size;
        is_plain.then_some((self.layers * layer) as u64)
    }
}

/// DeBERTa's disentangled attention (He et al. 2021).
#[derive(Debug, Clone)]
pub(crate) struct RelativePositions {
    pub(crate) max_relative_positions: isize,
    pub(crate) position_buckets: isize,
    pub(crate) share_att_key: bool,
    pub(crate) pos_att_type: Vec<String>,
    pub(crate) norm_rel_ebd: String,
    pub(crate) position_biased_input: bool,
    /// Width of the embeddings, which a projection takes to H where it differs.
    pub(crate) embedding_size: usize,
    /// Rows of the position embeddings.
    pub(crate) positions: usize,
}

/// ModernBERT's rotary positions: every n-th layer looks at all tokens, the others at those near by.
#[derive(Debug, Clone)]
pub(crate) struct RotaryPositions {
    pub(crate) global_theta: f64,
    pub(crate) local_theta: f64,
    pub(crate) global_every: usize,
    /// Width of the local window, in tokens.
    pub(crate) local_attention: usize,
}

/// BERT, RoBERTa and DeBERTa.
#[derive(Deserialize)]
struct BertJson {
    hidden_size: usize,
    vocab_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    max_position_embeddings: usize,
    type_vocab_size: Option<usize>,
    layer_norm_eps: Option<f64>,
    #[serde(default = "gelu")]
    hidden_act: Activation,
    position_embedding_type: Option<String>,
    pad_token_id: Option<usize>,
    #[serde(default)]
    is_decoder: bool,
}

#[derive(Deserialize)]
struct DebertaJson {
    #[serde(default)]
    relative_attention: bool,
    #[serde(default = "minus_one")]
    max_relative_positions: isize,
    #[serde(default = "minus_one")]
    position_buckets: isize,
    share_att_key: Option<bool>,
    #[serde(default)]
    pos_att_type: PosAttType,
    norm_rel_ebd: Option<String>,
    #[serde(default = "yes")]
    position_biased_input: bool,
    embedding_size: Option<usize>,
    conv_kernel_size: Option<usize>,
    attention_head_size: Option<usize>,
}

/// `"c2p|p2c"` or `["c2p", "p2c"]`.
#[derive(Deserialize, Default)]
#[serde(untagged)]
enum PosAttType {
    Joined(String),
    List(Vec<String>),
    #[default]
    None,
}

#[derive(Deserialize)]
struct DistilBertJson {
    dim: usize,
    vocab_size: usize,
    n_layers: usize,
    n_heads: usize,
    hidden_dim: usize,
    max_position_embeddings: usize,
    #[serde(default = "gelu")]
    activation: Activation,
}

#[derive(Deserialize)]
struct ModernBertJson {
    hidden_size: usize,
    vocab_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    max_position_embeddings: usize,
    #[serde(alias = "layer_norm_eps")]
    norm_eps: Option<f64>,
    #[serde(default = "gelu")]
    hidden_activation: Activation,
    #[serde(default)]
    norm_bias: bool,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    global_attn_every_n_layers: Option<usize>,
    layer_types: Option<Vec<String>>,
    local_attention: Option<usize>,
    global_rope_theta: Option<f64>,
    local_rope_theta: Option<f64>,
    rope_parameters: Option<RopeJson>,
}

/// How transformers 5 writes rotary positions: one entry a kind of layer.
#[derive(Deserialize)]
struct RopeJson {
    full_attention: Option<RopeKindJson>,
    sliding_attention: Option<RopeKindJson>,
}

#[derive(Deserialize)]
struct RopeKindJson {
    rope_theta: Option<f64>,
    rope_type: Option<String>,
}

#[derive(Deserialize)]
struct HashJson {
    hidden_size: usize,
}

fn gelu() -> Activation {
    Activation::Gelu
}

fn minus_one() -> isize {
    -1
}

fn yes() -> bool {
    true
}

/// transformers' defaults of `BertConfig`, for configurations that leave them out.
const BERT_EPS: f64 = 1e-12;
const BERT_TYPES: usize = 2;
/// Of `RobertaConfig` and `XLMRobertaConfig`; positions begin behind the row of the padding.
const ROBERTA_PAD: usize = 1;
/// Of `DebertaV2Config`.
const DEBERTA_EPS: f64 = 1e-7;
/// DistilBERT's, which its configuration does not name.
const DISTILBERT_EPS: f64 = 1e-12;
/// Of `ModernBertConfig`.
const MODERN_EPS: f64 = 1e-5;
const MODERN_GLOBAL_THETA: f64 = 160_000.0;
const MODERN_LOCAL_THETA: f64 = 10_000.0;
const MODERN_GLOBAL_EVERY: usize = 3;
const MODERN_LOCAL_ATTENTION: usize = 128;

impl EncoderConfig {
    /// Reads a `config.json` of the given family.
    pub(crate) fn read(json: &[u8], family: Family) -> Result<Self, BundleFault> {
        let config = match family {
            Family::Hash => {
                let HashJson { hidden_size } = parse(json)?;
                Self { hidden_size, max_tokens: usize::MAX, ..Self::empty(family) }
            }
            Family::Bert | Family::Roberta => Self::bert(parse(json)?, family)?,
            Family::DebertaV2 => Self::deberta(parse(json)?, parse(json)?)?,
            Family::DistilBert => Self::distilbert(&parse(json)?),
            Family::ModernBert => Self::modernbert(parse(json)?)?,
        };
        if matches!(family, Family::Bert | Family::Roberta) {
            let sizes = [
                ("hidden_size", config.hidden_size),
                ("intermediate_size", config.intermediate_size),
                ("type_vocab_size", config.token_types),
            ];
            if let Some((name, size)) = sizes.into_iter().find(|(_, size)| !(1..=LARGEST_SIZE).contains(size)) {
                return Err(inconsistent(format!("{name} is {size}, 1 to {LARGEST_SIZE} can be computed")));
            }
        }
        if family != Family::Hash && (config.heads == 0 || !config.hidden_size.is_multiple_of(config.heads)) {
            return Err(inconsistent(format!(
                "hidden_size {} is not a multiple of num_attention_heads {}",
                config.hidden_size, config.heads
            )));
        }
        Ok(config)
    }

    fn empty(family: Family) -> Self {
        Self {
            family,
            hidden_size: 0,
            vocab_size: 0,
            layers: 0,
            heads: 0,
            intermediate_size: 0,
            max_tokens: 0,
            first_position: 0,
            token_types: 0,
            layer_norm_eps: 0.0,
            activation: Activation::Gelu,
            relative: None,
            rotary: None,
        }
    }

    fn bert(json: BertJson, family: Family) -> Result<Self, BundleFault> {
        if let Some(kind) = json.position_embedding_type.filter(|kind| kind != "absolute") {
            return Err(inconsistent(format!(
                "position_embedding_type is {kind:?}, only \"absolute\" can be computed"
            )));
        }
        if json.is_decoder {
            return Err(inconsistent(
                "is_decoder is on; only encoders, whose attention goes both ways, can be computed".into(),
            ));
        }
        let first_position = if family == Family::Roberta { json.pad_token_id.unwrap_or(ROBERTA_PAD) + 1 } else { 0 };
        Ok(Self {
            hidden_size: json.hidden_size,
            vocab_size: json.vocab_size,
            layers: json.num_hidden_layers,
            heads: json.num_attention_heads,
            intermediate_size: json.intermediate_size,
            max_tokens: json.max_position_embeddings.saturating_sub(first_position),
            first_position,
            token_types: json.type_vocab_size.unwrap_or(BERT_TYPES),
            layer_norm_eps: json.layer_norm_eps.unwrap_or(BERT_EPS),
            activation: json.hidden_act,
            ..Self::empty(family)
        })
    }

    fn deberta(json: BertJson, own: DebertaJson) -> Result<Self, BundleFault> {
        let width = json.hidden_size.checked_div(json.num_attention_heads);
        if own.attention_head_size.is_some_and(|size| Some(size) != width) {
            return Err(inconsistent(
                "attention_head_size is not hidden_size / num_attention_heads, which alone can be computed".into(),
            ));
        }
        if own.conv_kernel_size.is_some_and(|size| size > 0) {
            return Err(inconsistent(
                "conv_kernel_size asks for a convolution layer, as the xlarge checkpoints of DeBERTa-v2 have; it cannot be computed"
                    .into(),
            ));
        }
        if !own.relative_attention {
            return Err(inconsistent("relative_attention is off; DeBERTa is computed with relative positions".into()));
        }
        let pos_att_type = match own.pos_att_type {
            PosAttType::Joined(joined) => joined.split('|').map(|kind| kind.trim().to_owned()).collect(),
            PosAttType::List(list) => list,
            PosAttType::None => Vec::new(),
        };
        let positions = json.max_position_embeddings;
        let relative = RelativePositions {
            max_relative_positions: own.max_relative_positions,
            position_buckets: own.position_buckets,
            share_att_key: own.share_att_key.unwrap_or(false),
            pos_att_type,
            norm_rel_ebd: own.norm_rel_ebd.unwrap_or_else(|| "none".into()),
            position_biased_input: own.position_biased_input,
            embedding_size: own.embedding_size.unwrap_or(json.hidden_size),
            positions,
        };
        Ok(Self {
            hidden_size: json.hidden_size,
            vocab_size: json.vocab_size,
            layers: json.num_hidden_layers,
            heads: json.num_attention_heads,
            intermediate_size: json.intermediate_size,
            max_tokens: positions,
            token_types: json.type_vocab_size.unwrap_or(0),
            layer_norm_eps: json.layer_norm_eps.unwrap_or(DEBERTA_EPS),
            activation: json.hidden_act,
            relative: Some(relative),
            ..Self::empty(Family::DebertaV2)
        })
    }

    fn distilbert(json: &DistilBertJson) -> Self {
        Self {
            hidden_size: json.dim,
            vocab_size: json.vocab_size,
            layers: json.n_layers,
            heads: json.n_heads,
            intermediate_size: json.hidden_dim,
            max_tokens: json.max_position_embeddings,
            layer_norm_eps: DISTILBERT_EPS,
            activation: json.activation,
            ..Self::empty(Family::DistilBert)
        }
    }

    fn modernbert(json: ModernBertJson) -> Result<Self, BundleFault> {
        if json.norm_bias || json.attention_bias || json.mlp_bias {
            return Err(inconsistent(
                "norm_bias, attention_bias or mlp_bias is on; ModernBERT is computed without them, as it was published"
                    .into(),
            ));
        }
        if json.hidden_activation != Activation::Gelu {
            return Err(inconsistent("hidden_activation is not \"gelu\", which alone can be computed".into()));
        }
        let global_every = match (&json.layer_types, json.global_attn_every_n_layers) {
            (Some(types), _) => global_every(types)?,
            (None, every) => every.unwrap_or(MODERN_GLOBAL_EVERY),
        };
        if global_every == 0 {
            return Err(inconsistent("global_attn_every_n_layers is 0; it counts from 1".into()));
        }
        let rope = json.rope_parameters.as_ref();
        let kinds = rope.map_or([None, None], |rope| [rope.full_attention.as_ref(), rope.sliding_attention.as_ref()]);
        if let Some(kind) =
            kinds.iter().flatten().filter_map(|kind| kind.rope_type.as_deref()).find(|kind| *kind != "default")
        {
            return Err(inconsistent(format!("rope_type is {kind:?}, only \"default\" can be computed")));
        }
        let theta = kinds.map(|kind| kind.and_then(|kind| kind.rope_theta));
        let rotary = RotaryPositions {
            global_theta: theta[0].or(json.global_rope_theta).unwrap_or(MODERN_GLOBAL_THETA),
            local_theta: theta[1].or(json.local_rope_theta).unwrap_or(MODERN_LOCAL_THETA),
            global_every,
            local_attention: json.local_attention.unwrap_or(MODERN_LOCAL_ATTENTION),
        };
        Ok(Self {
            hidden_size: json.hidden_size,
            vocab_size: json.vocab_size,
            layers: json.num_hidden_layers,
            heads: json.num_attention_heads,
            intermediate_size: json.intermediate_size,
            max_tokens: json.max_position_embeddings,
            layer_norm_eps: json.norm_eps.unwrap_or(MODERN_EPS),
            rotary: Some(rotary),
            ..Self::empty(Family::ModernBert)
        })
    }
}

/// Every how many layers the attention is global, from the list of layers that transformers 5 writes.
fn global_every(types: &[String]) -> Result<usize, BundleFault> {
    let is_global = |index: usize| types[index] == "full_attention";
    let every = (1..types.len()).find(|&index| is_global(index)).unwrap_or(types.len()).max(1);
    if (0..types.len()).all(|index| is_global(index) == index.is_multiple_of(every)) {
        return Ok(every);
    }
    Err(inconsistent(format!(
        "layer_types is {types:?}; one global layer before every so many local ones was expected"
    )))
}

fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, BundleFault> {
    serde_json::from_slice(json).map_err(|source| BundleFault::Json { file: "config.json".into(), source })
}

fn inconsistent(problem: String) -> BundleFault {
    BundleFault::Inconsistent { file: "config.json".into(), problem }
}
