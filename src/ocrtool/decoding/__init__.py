"""Network outputs to text: CTC, autoregressive decoding, the lexicon, calibration."""
