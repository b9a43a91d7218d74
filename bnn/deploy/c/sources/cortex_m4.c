/* An example of the net on a Cortex-M4, without an operating system: starts
   the processor, reads images.bin through the debugger (or qemu), writes the
   class of each image, and at last how much stack it took. */
#include <stdint.h>

#include "bnn_net.h"

extern uint32_t data_start[], data_end[], data_in_flash[];
extern uint32_t bss_start[], bss_end[], stack_top[];

void reset(void);
static void stop(void);

static int call(int operation, const void *arguments)
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = arguments;
    __asm__ volatile ("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static void write_number(unsigned n)
{
    char text[12], *p = text + sizeof text;
    *--p = 0;
    *--p = '\n';
    do
        *--p = (char)('0' + n % 10);
    while (n /= 10);
    call(4, p);                                 /* SYS_WRITE0 */
}

static void run(void)
{
    static const char name[] = "images.bin";
    static uint8_t image[BNN_IMAGE_BYTES];
    const uintptr_t open[] = {(uintptr_t)name, 1, sizeof name - 1};
    const int file = call(1, open);             /* SYS_OPEN, "rb" */
    const uintptr_t read[] = {(uintptr_t)file, (uintptr_t)image,
                              sizeof image};
    if (file == -1)
        call(4, "there is no images.bin\n");
    else
        while (call(6, read) == 0)              /* SYS_READ */
            write_number((unsigned)bnn_predict(image));
}

void reset(void)
{
    volatile uint32_t *p = data_start;
    const uint32_t *from = data_in_flash;
    volatile uint32_t *end = (uint32_t *)__builtin_frame_address(0) - 64;
    while (p < data_end)
        *p++ = *from++;
    for (p = bss_start; p < bss_end; p++)
        *p = 0;
    /* Paint what the stack may take, below this function's own. */
    for (; p < end; p++)
        *p = 0x5aa55aa5;
    run();
    for (p = bss_end; *p == 0x5aa55aa5; p++)
        continue;
    call(4, "stack ");
    write_number((unsigned)((uintptr_t)stack_top - (uintptr_t)p));
    stop();
}

static void stop(void)
{
    call(0x18, (const void *)0x20026);          /* SYS_EXIT, no error */
    for (;;)
        continue;
}

static void fault(void)
{
    call(4, "fault\n");
    stop();
}

__attribute__((section(".vectors"), used))
static const struct {
    const void *stack;
    void (*handlers[6])(void);
} vectors = {stack_top, {reset, fault, fault, fault, fault, fault}};
