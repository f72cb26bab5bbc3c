//! Where the encoder computes.

use crate::error::BundleFault;

/// Where the encoder computes. Anything but the CPU needs a program that was built for it, and has not been tested.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// The first NVIDIA card (feature `cuda`).
    Cuda,
    /// The first Apple GPU (feature `metal`).
    Metal,
}

impl Device {
    pub(crate) fn open(self) -> Result<candle_core::Device, BundleFault> {
        let (name, opened) = match self {
            Self::Cpu => return Ok(candle_core::Device::Cpu),
            Self::Cuda => ("cuda", candle_core::Device::new_cuda(0)),
            Self::Metal => ("metal", candle_core::Device::new_metal(0)),
        };
        opened.map_err(|source| BundleFault::Device { device: name, source })
    }
}
