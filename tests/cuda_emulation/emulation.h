// What CUDA and CuPy give a kernel, for a C++ compiler and one CPU thread.
//
// The threads of a block are contexts that take turns: each runs until it
// waits for others, at a barrier of its block or of its warp.  A block that
// waits for a thread that has ended, or that is elsewhere, is an error.
#include <math.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

#include <type_traits>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static  // blocks run one after the other
#define __restrict__ __restrict

struct dim3 { unsigned x, y, z; };
static dim3 threadIdx, blockIdx, blockDim, gridDim;

struct alignas(16) uint4 { unsigned x, y, z, w; };
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z,
                               unsigned w) {
    return {x, y, z, w};
}

namespace emulation {

struct Thread {
    jmp_buf here;
    bool begun, ended;
};

static const size_t STACK = 64 << 10;
static Thread threads[1024];
static std::vector<char> stacks;
static jmp_buf scheduler;
static bool backwards;  // now one order, now the other: neither may matter
static ucontext_t origin;
static unsigned n_threads, current, arrived;
static unsigned long long generation, progress;
static unsigned warp_arrived[32];
static unsigned long long warp_generation[32];
static unsigned char slots[32][32][32];  // what lanes show each other
static void (*body)(void *);
static void *body_arguments;

// Not swapcontext all the time: that is a system call.
static inline void pause() {
    if (!_setjmp(threads[current].here)) _longjmp(scheduler, 1);
}

static void enter() {
    body(body_arguments);
    threads[current].ended = true;
    ++progress;
    _longjmp(scheduler, 1);
}

// Runs a block; false if its threads wait for ever.
static bool run_block() {
    arrived = 0;
    memset(warp_arrived, 0, sizeof warp_arrived);
    for (unsigned t = 0; t < n_threads; ++t) {
        threads[t].begun = threads[t].ended = false;
    }
    for (volatile unsigned alive = n_threads; alive; ) {
        volatile unsigned long long before = progress;
        alive = 0;
        backwards = !backwards;
        for (volatile unsigned i = 0; i < n_threads; ++i) {
            const unsigned t = backwards ? n_threads - 1 - i : i;
            Thread &thread = threads[t];
            if (thread.ended) continue;
            current = t;
            threadIdx.x = t % blockDim.x;
            threadIdx.y = t / blockDim.x % blockDim.y;
            threadIdx.z = t / blockDim.x / blockDim.y;
            if (!_setjmp(scheduler)) {
                if (thread.begun) _longjmp(thread.here, 1);
                thread.begun = true;
                ucontext_t context;
                getcontext(&context);
                context.uc_stack.ss_sp = &stacks[t * STACK];
                context.uc_stack.ss_size = STACK;
                context.uc_link = &origin;
                makecontext(&context, enter, 0);
                setcontext(&context);
            }
            alive += !threads[current].ended;
        }
        if (alive && before == progress) return false;
    }
    return true;
}

static inline void wait_for_warp(unsigned mask) {
    const unsigned warp = current / 32;
    const unsigned long long before = warp_generation[warp];
    if (++warp_arrived[warp] == unsigned(__builtin_popcount(mask))) {
        warp_arrived[warp] = 0;
        ++warp_generation[warp];
        ++progress;
    }
    while (warp_generation[warp] == before) pause();
}

template <class T> static T exchange(unsigned mask, T value, unsigned lane) {
    static_assert(sizeof(T) <= 8, "");
    auto &mine = slots[current / 32];
    memcpy(mine[current % 32], &value, sizeof value);
    wait_for_warp(mask);
    T result;
    memcpy(&result, mine[lane % 32], sizeof result);
    wait_for_warp(mask);
    return result;
}

// One number a parameter, to be compared with what is passed: its size, and
// 256 for a pointer, 512 for a floating point number
template <class A> constexpr int kind_of() {
    return int(sizeof(A)) + (std::is_pointer<A>::value ? 256 : 0)
        + (std::is_floating_point<A>::value ? 512 : 0);
}

template <class... A> struct Launch {
    void (*kernel)(A...);
    void **arguments;

    template <size_t... I> void call(std::index_sequence<I...>) {
        kernel(*static_cast<std::remove_reference_t<A> *>(arguments[I])...);
    }

    static void run(void *self) {
        static_cast<Launch *>(self)->call(std::index_sequence_for<A...>());
    }
};

template <class... A>
int launch(void (*kernel)(A...), const unsigned *size, void **arguments) {
    Launch<A...> one{kernel, arguments};
    gridDim = {size[0], size[1], size[2]};
    blockDim = {size[3], size[4], size[5]};
    n_threads = blockDim.x * blockDim.y * blockDim.z;
    if (!n_threads || n_threads > 1024) return 1;
    stacks.resize(STACK * n_threads);
    body = &Launch<A...>::run;
    body_arguments = &one;
    for (unsigned z = 0; z < gridDim.z; ++z) {
        for (unsigned y = 0; y < gridDim.y; ++y) {
            for (unsigned x = 0; x < gridDim.x; ++x) {
                blockIdx = {x, y, z};
                if (!run_block()) return 2;
            }
        }
    }
    return 0;
}

template <class... A> int kinds(void (*)(A...), int *result) {
    const int all[] = {kind_of<A>()..., 0};
    memcpy(result, all, sizeof(int) * sizeof...(A));
    return sizeof...(A);
}

// mma.sync.aligned.m16n8k32.row.col.s32.(u8|s8).s8.s32: the fragments as the
// PTX manual has them.  Registers of the lane g * 4 + t: of A the bytes
// 4 t .. 4 t + 3 of row g, of row g + 8, and 16 bytes on of both; of B the
// same of column g, and 16 bytes on; of C columns 2 t, 2 t + 1 of row g and
// of row g + 8.
template <class A>
void mma(int &c0, int &c1, int &c2, int &c3, unsigned a0, unsigned a1,
         unsigned a2, unsigned a3, unsigned b0, unsigned b1) {
    const unsigned mine[6] = {a0, a1, a2, a3, b0, b1};
    memcpy(slots[current / 32][current % 32], mine, sizeof mine);
    wait_for_warp(~0u);
    unsigned all[32][6];
    for (unsigned lane = 0; lane < 32; ++lane) {
        memcpy(all[lane], slots[current / 32][lane], sizeof mine);
    }
    wait_for_warp(~0u);
    const unsigned g = current % 32 / 4, t = current % 4;
    int *c[4] = {&c0, &c1, &c2, &c3};
    for (unsigned i = 0; i < 4; ++i) {
        const unsigned upper = i / 2, column = 2 * t + i % 2;
        for (unsigned k = 0; k < 32; ++k) {
            const unsigned half = k / 16, lane = k % 16 / 4, byte = k % 4;
            const A a = A(all[g * 4 + lane][2 * half + upper] >> 8 * byte);
            const int8_t b = int8_t(all[column * 4 + lane][4 + half]
                                    >> 8 * byte);
            *c[i] += int(a) * int(b);
        }
    }
}

}  // namespace emulation

static inline void __syncthreads() {
    const unsigned long long before = emulation::generation;
    if (++emulation::arrived == emulation::n_threads) {
        emulation::arrived = 0;
        ++emulation::generation;
        ++emulation::progress;
    }
    while (emulation::generation == before) emulation::pause();
}

static inline void __syncwarp(unsigned mask = ~0u) {
    emulation::wait_for_warp(mask);
}

template <class T>
T __shfl_sync(unsigned mask, T value, int lane) {
    return emulation::exchange(mask, value, lane);
}

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int distance) {
    return emulation::exchange(
        mask, value, emulation::current % 32 ^ distance);
}

static inline unsigned __ballot_sync(unsigned mask, int yes) {
    unsigned result = 0;
    emulation::slots[emulation::current / 32][
        emulation::current % 32][0] = yes != 0;
    emulation::wait_for_warp(mask);
    for (unsigned lane = 0; lane < 32; ++lane) {
        if (mask >> lane & 1) {
            result |= unsigned(emulation::slots[
                emulation::current / 32][lane][0]) << lane;
        }
    }
    emulation::wait_for_warp(mask);
    return result;
}

static inline int __popc(unsigned x) { return __builtin_popcount(x); }
