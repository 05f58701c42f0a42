"""Keys and values in ONNX Runtime's own arrays, where its device is: they never leave a GPU.

What NumPy does to them on the host is done there by two small graphs beside this file, which
``ocrtool.export.key_values`` makes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ocrtool.engines.base import IntArray
from ocrtool.engines.sessions import open_session

APPEND = Path(__file__).with_name("append.onnx")
TAKE = Path(__file__).with_name("take.onnx")


class BoundStore:
    """Arrays of ONNX Runtime (``OrtValue``), as long as the rows that they hold.

    Args:
        runtime: The module ``onnxruntime``.
        device: ``cpu`` or ``cuda:N``.
        threads: CPU threads; 0 for one a physical core.
    """

    def __init__(self, runtime: Any, device: str, threads: int) -> None:
        self._runtime = runtime
        kind, _, index = device.partition(":")
        self._place = (kind, int(index or 0))
        self._append = open_session(runtime, APPEND, device, threads)
        self._take = open_session(runtime, TAKE, device, threads)

    def run(
        self,
        session: Any,
        feeds: Mapping[str, Any],
        names: Sequence[str] = (),
        kept: int = 0,
    ) -> list[Any]:
        """Run a graph on inputs that are on the host or here.

        Args:
            session: That runs it.
            feeds: Inputs by name: arrays of NumPy, or of this store.
            names: The outputs; all of the graph's where none are named.
            kept: How many of the first outputs stay here; the others become NumPy's.
        """
        binding = session.io_binding()
        given = {k: np.ascontiguousarray(v) for k, v in feeds.items() if isinstance(v, np.ndarray)}
        for name, value in feeds.items():
            if name in given:
                binding.bind_cpu_input(name, given[name])
            else:
                binding.bind_ortvalue_input(name, value)
        names = names or [output.name for output in session.get_outputs()]
        for i, name in enumerate(names):
            binding.bind_output(name, *(self._place if i < kept else ("cpu", 0)))
        session.run_with_iobinding(binding)
        outputs = binding.get_outputs()
        return [*outputs[:kept], *(output.numpy() for output in outputs[kept:])]

    def empty(self, shape: tuple[int, ...]) -> Any:
        """See `ocrtool.engines.base.CacheStore.empty`."""
        # One entry that no row counts: arrays without any are not taken everywhere.
        nothing = np.zeros((*shape[:3], 1, shape[4]), np.float32)
        return self._runtime.OrtValue.ortvalue_from_numpy(nothing, *self._place)

    def take(self, array: Any, rows: IntArray, end: int) -> Any:
        """See `ocrtool.engines.base.CacheStore.take`."""
        feeds = {"entries": array, "rows": rows, "end": np.array([end])}
        return self.run(self._take, feeds, kept=1)[0]

    def append(self, array: Any, new: Any, lengths: IntArray) -> Any:
        """See `ocrtool.engines.base.CacheStore.append`."""
        feeds = {"entries": array, "new": new, "lengths": lengths}
        return self.run(self._append, feeds, kept=1)[0]
