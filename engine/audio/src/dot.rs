//! The inner loop of filters and correlations.

/// Sum of products of two equally long slices, in lanes that the compiler can vectorise; the order of a plain sum
/// would forbid that.
#[inline]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for i in 0..LANES {
            lanes[i] += a[i] * b[i];
        }
    }
    // Added up as a tree: a chain of additions would take longer than all of the above.
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0] + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

const LANES: usize = 16;
