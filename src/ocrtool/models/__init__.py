"""The networks: vision encoder, projector, text decoder and CTC head, composed by one config.

``config`` and ``presets`` import without PyTorch; import ``ocrtool.models.ocr`` for the networks.
"""
