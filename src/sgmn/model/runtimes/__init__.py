"""Runtimes of the towers besides PyTorch: the towers exported as ONNX, in ONNX Runtime or OpenVINO.

Everything above the towers runs in PyTorch, so the score of a clip does not depend on the runtime.
"""

TORCH, AUTO = "torch", "auto"
OPENVINO, OPENVINO_BF16, ONNX = "openvino", "openvino-bf16", "onnx"
RUNTIMES = (TORCH, OPENVINO, OPENVINO_BF16, ONNX, AUTO)
