// The part of CuPy's headers that elementwise kernels see; for a C++ compiler
// and for nvcc.
#ifdef __CUDACC__
#include <cuda_fp16.h>
#endif

#define CUPY_FOR(i, n) \
    for (ptrdiff_t i = \
             static_cast<ptrdiff_t>(blockIdx.x) * blockDim.x + threadIdx.x; \
         i < (n); i += static_cast<ptrdiff_t>(blockDim.x) * gridDim.x)

// Converts as CuPy's does: a float becomes one unasked, and it a float.
class float16 {
    unsigned short bits_;

#ifdef __CUDACC__
    static __device__ unsigned short of(float x) {
        return __half_as_ushort(__float2half_rn(x));
    }
    static __device__ float to(unsigned short x) {
        return __half2float(__ushort_as_half(x));
    }
#else
    static unsigned short of(double x) {
        const unsigned short sign = signbit(x) ? 0x8000 : 0;
        x = fabs(x);
        if (x != x) return sign | 0x7e00;
        if (x >= 65520) return sign | 0x7c00;  // rounds to infinity
        int exponent = -14;
        if (x >= ldexp(1., -14)) {
            frexp(x, &exponent);
            --exponent;
        }
        // The significand in units of the last place; a tie goes to even.
        const int units = int(rint(ldexp(x, 10 - exponent)));
        return sign | (units + ((exponent + 14) << 10));
    }
    static float to(unsigned short x) {
        const int exponent = x >> 10 & 31, fraction = x & 0x3ff;
        float size;
        if (exponent == 31) {
            size = fraction ? NAN : INFINITY;
        } else {
            size = float(exponent ? ldexp(1024 + fraction, exponent - 25)
                                  : ldexp(fraction, -24));
        }
        return copysignf(size, x & 0x8000 ? -1.f : 1.f);
    }
#endif

public:
    float16() = default;
    __device__ float16(float x) : bits_(of(x)) {}
    explicit __device__ float16(double x) : bits_(of(x)) {}
    explicit __device__ float16(int x) : bits_(of(float(x))) {}
    float16 &operator=(const float16 &) = default;
    float16(const float16 &) = default;
    template <class U> __device__ float16 &operator=(const U &x) {
        return *this = static_cast<float16>(x);
    }
    template <class U> __device__ float16 &operator+=(const U &x) {
        return *this = *this + x;
    }
    __device__ operator float() const { return to(bits_); }
};

template <class T> struct CArray {
    T *data;
    ptrdiff_t ndim, shape[8], strides[8];

    // By the index in the order of C, whatever the strides are
    __device__ T &operator[](ptrdiff_t i) const {
        ptrdiff_t at = 0;
        for (ptrdiff_t axis = ndim; axis-- > 0; ) {
            at += i % shape[axis] * strides[axis];
            i /= shape[axis];
        }
        return *(T *)((char *)data + at);
    }
};

struct CIndexer {
    ptrdiff_t size_, index;
    __device__ ptrdiff_t size() const { return size_; }
    __device__ void set(ptrdiff_t i) { index = i; }
    __device__ ptrdiff_t get() const { return index; }
};
