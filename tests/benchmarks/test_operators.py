"""Reading oneDNN's reports."""

import pytest

from benchmarks.operators import STEPS, Spent, count

LINES = """
dnnl_verbose,info,cpu,isa:Intel AVX2
dnnl_verbose,exec,cpu,convolution,jit:avx2,backward_data,src_f32::blocked:aBcd8b:f0,,,mb64_ic16oc16,2.5
dnnl_verbose,exec,cpu,convolution,jit:avx2,forward_training,src_f32::blocked:aBcd8b:f0,,,mb64_ic16oc16,1.5
dnnl_verbose,exec,cpu,reorder,jit:blk,undef,src_f32::blocked:aBcd8b:f0 dst_f32::blocked:abcd:f0,,,64x64x8x8,0.5
dnnl_verbose,exec,cpu,reorder,jit:uni,undef,src_f32::blocked:abcd:f0 dst_f32::blocked:ABcd8a8b:f0,,,64x64x3x3,0.25
2026-11-25 20:00:00 no report
dnnl_verbose,exec,cpu,inner_product,x64:gemm:jit,forward_training,src_f32::blocked:ab:f0,,,mb64ic64oc10,0.125
"""


def test_reports_are_counted_by_kind():
    assert count(LINES.splitlines()) == {
        'convolutions': pytest.approx(Spent(2 / STEPS, 4 / STEPS)),
        'reorders of images': pytest.approx(Spent(1 / STEPS, 0.5 / STEPS)),
        'reorders of the rest': pytest.approx(Spent(1 / STEPS, 0.25 / STEPS)),
        'others': pytest.approx(Spent(1 / STEPS, 0.125 / STEPS)),
    }
    assert list(count(LINES.splitlines()))[0] == 'convolutions'
