//! Our configuration in the words of `candle-transformers`. What its types ask for and inference does not use is filled in.

use candle_core::Result;
use candle_nn::Activation as NnActivation;
use candle_transformers::models::{bert, debertav2, modernbert, xlm_roberta};

use crate::encoder::EncoderConfig;
use crate::encoder::config::Activation;

pub(super) fn bert(config: &EncoderConfig) -> bert::Config {
    bert::Config {
        vocab_size: config.vocab_size,
        hidden_size: config.hidden_size,
        num_hidden_layers: config.layers,
        num_attention_heads: config.heads,
        intermediate_size: config.intermediate_size,
        hidden_act: match config.activation {
            Activation::Gelu => bert::HiddenAct::Gelu,
            Activation::GeluTanh => bert::HiddenAct::GeluApproximate,
            Activation::Relu => bert::HiddenAct::Relu,
        },
        hidden_dropout_prob: 0.0,
        max_position_embeddings: config.max_tokens,
        type_vocab_size: config.token_types,
        layer_norm_eps: config.layer_norm_eps,
        position_embedding_type: bert::PositionEmbeddingType::Absolute,
        // With a type, Candle tries other names for tensors that are missing.
        model_type: None,
        ..bert::Config::default()
    }
}

pub(super) fn roberta(config: &EncoderConfig) -> xlm_roberta::Config {
    xlm_roberta::Config {
        hidden_size: config.hidden_size,
        layer_norm_eps: config.layer_norm_eps,
        attention_probs_dropout_prob: 0.0,
        hidden_dropout_prob: 0.0,
        num_attention_heads: config.heads,
        position_embedding_type: "absolute".into(),
        intermediate_size: config.intermediate_size,
        hidden_act: match config.activation {
            Activation::Gelu => NnActivation::Gelu,
            Activation::GeluTanh => NnActivation::GeluPytorchTanh,
            Activation::Relu => NnActivation::Relu,
        },
        num_hidden_layers: config.layers,
        vocab_size: config.vocab_size,
        max_position_embeddings: config.max_tokens + config.first_position,
        type_vocab_size: config.token_types,
        pad_token_id: (config.first_position - 1) as u32,
    }
}

pub(super) fn deberta(config: &EncoderConfig) -> Result<debertav2::Config> {
    let Some(relative) = &config.relative else { candle_core::bail!("no relative positions") };
    Ok(debertav2::Config {
        vocab_size: config.vocab_size,
        hidden_size: config.hidden_size,
        num_hidden_layers: config.layers,
        num_attention_heads: config.heads,
        intermediate_size: config.intermediate_size,
        hidden_act: match config.activation {
            Activation::Gelu => debertav2::HiddenAct::Gelu,
            Activation::GeluTanh => debertav2::HiddenAct::GeluApproximate,
            Activation::Relu => debertav2::HiddenAct::Relu,
        },
        hidden_dropout_prob: 0.0,
        attention_probs_dropout_prob: 0.0,
        max_position_embeddings: relative.positions,
        type_vocab_size: config.token_types,
        initializer_range: 0.0,
        layer_norm_eps: config.layer_norm_eps,
        relative_attention: true,
        max_relative_positions: relative.max_relative_positions,
        pad_token_id: None,
        position_biased_input: relative.position_biased_input,
        pos_att_type: relative.pos_att_type.clone(),
        position_buckets: Some(relative.position_buckets),
        share_att_key: Some(relative.share_att_key),
        attention_head_size: None,
        embedding_size: Some(relative.embedding_size),
        norm_rel_ebd: Some(relative.norm_rel_ebd.clone()),
        conv_kernel_size: None,
        conv_groups: None,
        conv_act: None,
        id2label: None,
        label2id: None,
        pooler_dropout: None,
        pooler_hidden_act: None,
        pooler_hidden_size: None,
        cls_dropout: None,
    })
}

pub(super) fn modernbert(config: &EncoderConfig) -> Result<modernbert::Config> {
    let Some(rotary) = &config.rotary else { candle_core::bail!("no rotary positions") };
    Ok(modernbert::Config {
        vocab_size: config.vocab_size,
        hidden_size: config.hidden_size,
        num_hidden_layers: config.layers,
        num_attention_heads: config.heads,
        intermediate_size: config.intermediate_size,
        max_position_embeddings: config.max_tokens,
        layer_norm_eps: config.layer_norm_eps,
        pad_token_id: 0,
        global_attn_every_n_layers: rotary.global_every,
        global_rope_theta: rotary.global_theta,
        local_attention: rotary.local_attention,
        local_rope_theta: rotary.local_theta,
        classifier_config: None,
    })
}
