"""Build the C kernels: one source, compiled once per instruction-set level, linked into one extension.

pyproject.toml holds everything else.
"""

import os
import platform
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

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

CFLAGS = ["-O3", "-std=c11", "-fno-math-errno", "-ffp-contract=fast", "-Wall", "-Wno-unused-function"]

# family -> the C files compiled once per level, and those compiled once.
FAMILIES = {
    "runtime": ([], ["threads.c", "../simd/dispatch.c"]),
    "gram": (["gram.c"], ["expansion.c"]),
    "sgd": (["sgd.c"], ["shuffle.c", "stream.c"]),
    "smo": (["smo.c"], ["select.c"]),
    "dual_cd": (["dual_cd.c"], []),
    "newton": (["newton.c"], []),
    "glm": (["glm.c", "moments.c"], []),
    "sag": (["sag.c"], []),
}


def extension(family: str) -> Extension:
    per_level, once = FAMILIES[family]
    folder = SRC / family
    return Extension(
        f"fastml.kernels.cpu._{family}",
        [
            str(folder / f"_{family}.pyx"),
            *(str((folder / name).resolve().relative_to(Path.cwd())) for name in once),
        ],
        include_dirs=[
            *(str(SRC / shared) for shared in ("simd", "runtime", "linear")),
            str(folder),
            np.get_include(),
        ],
        depends=[str(header) for header in SRC.glob("*/*.h")] + [str(folder / name) for name in per_level],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
        extra_compile_args=[*CFLAGS, "-pthread"],
        extra_link_args=["-pthread"],
    )


class build_kernels(build_ext):
    """build_ext that also compiles each family's per-level sources, once per level; families side by side."""

    def finalize_options(self):
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def build_extension(self, ext):
        family = ext.name.rpartition("._")[2]
        # Threads only wait here: the compilers are processes.
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = pool.map(lambda level: self._compile_level(ext, family, level), LEVELS)
            ext.extra_objects = [built for of_level in objects for built in of_level]
        super().build_extension(ext)

    def _compile_level(self, ext, family, level):
        return self.compiler.compile(
            [str(SRC / family / name) for name in FAMILIES[family][0]],
            output_dir=str(Path(self.build_temp) / level),
            macros=[("FASTML_LEVEL", level)],
            include_dirs=ext.include_dirs,
            extra_postargs=[*CFLAGS, "-fPIC", *LEVELS[level]],
            depends=ext.depends,
        )


setup(
    ext_modules=cythonize(
        [extension(family) for family in FAMILIES],
        language_level=3,
        compiler_directives={"boundscheck": False, "wraparound": False, "initializedcheck": False},
    ),
    cmdclass={"build_ext": build_kernels},
)
