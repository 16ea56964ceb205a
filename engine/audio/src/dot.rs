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
    // Four vectors become one before the lanes are added up one by one.
    let [p, q, r, s] = *lanes.as_chunks::<4>().0 else { return 0.0 };
    let four: [f32; 4] = std::array::from_fn(|i| (p[i] + q[i]) + (r[i] + s[i]));
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    four.iter().sum::<f32>() + rest
}

const LANES: usize = 16;
