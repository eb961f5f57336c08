"""What pyproject.toml cannot say: a compiled kernel that may be missing.

Without a C compiler the package installs all the same and hashes records by pyarrow and
hashlib, to the same bytes and about seven times slower. The kernel uses no Python headers.
"""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "sealwright.intake._kernel",
            sources=["src/sealwright/intake/_kernel.c"],
            depends=["src/sealwright/intake/_sha256.h"],
            # debug information would hold the folder it was built in
            extra_compile_args=["-O3", "-std=c11", "-Wall", "-Wextra", "-g0"],
            optional=True,
        )
    ]
)
