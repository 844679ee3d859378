"""Build the C kernels: one source, compiled once per instruction-set level, linked into one extension.

pyproject.toml holds everything else.
"""

import hashlib
import os
import platform
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SRC = Path("src_ext")

# Explicit flags rather than -march=x86-64-v3: compilers older than GCC 11 have no names for the levels.
# No more than dispatch.c asks the processor for.
X86_V2 = ["-msse4.2"]
X86_V3 = X86_V2 + ["-mavx2", "-mfma"]
X86_V4 = X86_V3 + ["-mavx512f", "-mavx512bw", "-mavx512cd", "-mavx512dq", "-mavx512vl"]
LEVELS = (
    {"v2": X86_V2, "v3": X86_V3, "v4": X86_V4}
    if platform.machine().lower() in ("x86_64", "amd64")
    else {"generic": []}
)

# -g0: Python's flags may ask for debug information, which is seven times as large as the code.
CFLAGS = ["-O3", "-g0", "-std=c11", "-fno-math-errno", "-ffp-contract=fast", "-Wall", "-Wno-unused-function"]
# Of what Cython writes: it checks arguments, lays out some arrays, and calls the kernels.
CFLAGS_OF_BINDINGS = [*CFLAGS, "-O2"]

# Families of small kernels, each with a binding of its own that src_ext/layers/_layers.pyx includes: what Cython
# puts into an extension besides would take longer to compile than they do.
SMALL_FAMILIES = ("gather", "pool", "activation", "normalization", "optimizer")

# family -> the C files compiled once per level, and those compiled once. Those that take longest come first.
FAMILIES = {
    "sgd": (["sgd.c"], ["shuffle.c", "stream.c"]),
    "sag": (["sag.c"], []),
    "glm": (["glm.c", "moments.c"], []),
    "dual_cd": (["dual_cd.c"], []),
    "gram": (["gram.c"], ["expansion.c"]),
    "newton": (["newton.c"], []),
    "conv": (["conv.c"], []),
    "dense": (["dense.c"], []),
    "layers": ([f"../{family}/{family}.c" for family in SMALL_FAMILIES], []),
    "smo": (["smo.c"], ["select.c"]),
    "runtime": ([], ["threads.c", "program.c", "../simd/dispatch.c"]),
}


def fingerprint(file: Path, compiler: Any, arguments: dict[str, Any], versions: tuple[str, ...]) -> str:
    """Of everything that an object is made of: the source, all headers, the compiler and how it is called; of headers
    of packages, wherever an isolated build has put them, the versions."""
    told = hashlib.sha256(repr((compiler.compiler_so, arguments, platform.machine(), versions)).encode())
    for path in (file, *sorted(SRC.glob("*/*.h"))):
        told.update(str(path).encode())
        told.update(path.read_bytes())
    return told.hexdigest()[:32]


def source(family: str, name: str) -> Path:
    return (SRC / family / name).resolve().relative_to(Path.cwd())


def extension(family: str) -> Extension:
    per_level = [source(family, name) for name in FAMILIES[family][0]]
    folder = SRC / family
    return Extension(
        f"fastml.kernels.cpu._{family}",
        [str(folder / f"_{family}.pyx")],
        include_dirs=[
            *(str(SRC / shared) for shared in ("simd", "runtime", "linear")),
            *sorted({str(folder), *(str(file.parent) for file in per_level)}),
            np.get_include(),
        ],
        depends=[
            *(str(header) for header in SRC.glob("*/*.h")),
            *(str(folder / name) for names in FAMILIES[family] for name in names),
        ],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
        extra_compile_args=[*CFLAGS_OF_BINDINGS, "-pthread"],
        extra_link_args=["-pthread"],
    )


class build_kernels(build_ext):
    """build_ext that compiles each family's C files, once per level or once, and its binding; all side by side."""

    def finalize_options(self):
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def build_extensions(self):
        # Threads only wait here: the compilers are processes.
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            self.objects = {
                ext.name: [pool.submit(self._compile, *unit) for unit in self._units(ext)]
                for ext in self.extensions
            }
            super().build_extensions()

    def build_extension(self, ext):
        ext.extra_objects = [built for unit in self.objects[ext.name] for built in unit.result()]
        ext.depends, ext.sources = [*ext.depends, *ext.sources], []  # the binding is among those
        super().build_extension(ext)

    def _units(self, ext):
        """What to compile for a family: (extension, C file, level or None)."""
        family = ext.name.rpartition("._")[2]
        per_level, once = ([source(family, name) for name in names] for names in FAMILIES[family])
        return [(ext, file, level) for file in per_level for level in LEVELS] + [
            (ext, file, None) for file in (*once, *map(Path, ext.sources))
        ]

    def _compile(self, ext, file, level):
        """The object of a file at a level; FASTML_OBJECTS may name a folder that keeps objects from build to build."""
        own = [folder for folder in ext.include_dirs if not Path(folder).is_absolute()]
        arguments = {
            "macros": [("FASTML_LEVEL", level)] if level else [],
            "include_dirs": own,
            "extra_postargs": [*CFLAGS, "-fPIC", "-pthread", *LEVELS.get(level, [])],
        }
        versions: tuple[str, ...] = ()
        if str(file) in ext.sources:
            versions = platform.python_version(), np.__version__
            arguments["macros"] = ext.define_macros
            arguments["extra_postargs"] = [*ext.extra_compile_args, "-fPIC"]
        folder = os.environ.get("FASTML_OBJECTS")
        key = fingerprint(file, self.compiler, arguments, versions) if folder else ""
        kept = Path(folder) / f"{file.stem}-{key}.o" if folder else None
        if kept and kept.exists():
            return [str(kept)]
        objects = self.compiler.compile(
            [str(file)],
            output_dir=str(Path(self.build_temp) / (level or "")),
            depends=ext.depends,
            **{**arguments, "include_dirs": ext.include_dirs},
        )
        if kept:
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(objects[0], kept)
        return objects


setup(
    ext_modules=cythonize(
        [extension(family) for family in FAMILIES],
        language_level=3,
        compiler_directives={"boundscheck": False, "wraparound": False, "initializedcheck": False},
    ),
    cmdclass={"build_ext": build_kernels},
)
