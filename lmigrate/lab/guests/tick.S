/* tick: a guest without an operating system, for measuring live migration.
 *
 * It counts in memory, and writes one line per count to the first serial port:
 *   tick n=<count> boot=<id> ok|BAD bad=<pages> pages=<dirtied> tsc=<hex> rtc=<hh:mm:ss>
 * n, boot, bad and pages live in RAM only: a guest that was restarted instead of moved shows another boot id.
 * tsc is the virtual CPU's own; it is carried over by a migration and does not count while the guest is stopped, so
 * it does not see the pause. rtc is QEMU's clock chip; it follows the host's clock and does see it, to the second.
 *
 * Static pages are written once and verified in turn, one per count (and the first one at every count). Dirty pages
 * are verified and then rewritten whole at the wanted rate. A page that comes across wrong counts in `bad`.
 *
 * It switches itself off at a set count, and when its power button is pressed (`virsh shutdown`).
 *
 * One image, two ways in: `_start` as a boot sector (loads the rest by INT 13h), `rom_start` as the whole firmware
 * (see tick_image.py, which also patches the header). Long mode is entered at once: some KVMs interpret anything less.
 */
        .set COM1, 0x3f8
        .set PML4, 0x1000               /* then PDPT, and four page directories: 4 GiB mapped as they are */
        .set IDT, 0x9000
        .set IDT_BYTES, 48 * 16
        .set STACK, 0x7c00
        .set REGION, 0x200000           /* static pages, then dirty pages */
        .set PM, 0x600                  /* ACPI's power management registers: where firmware would put them */
        .set LOCAL_APIC, 0xfee00000
        .set STEP, 0x9e3779b97f4a7c15   /* odd, so that no two words of a page are alike */

        .code16
        .globl _start
_start: jmp     disk_start
        .org 4
header:
magic:          .ascii "LMTICK01"
rom_entry:      .long rom_start - _start
image_sectors:  .long (image_end - _start + 511) / 512
pit_divisor:    .long 59659
irqs_per_tick:  .long 2
static_pages:   .long 1                 /* at least one: the canary */
dirty_pages:    .long 0
dirty_per_irq:  .long 0                 /* pages in 16.16 fixed point */
poweroff_at:    .long 0                 /* the count at which the guest switches itself off; 0: never */

disk_start:
        cli
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $STACK, %sp
        ljmp    $0, $1f
1:      movb    $2, %ah
        movb    image_sectors, %al
        decb    %al
        movw    $0x7e00, %bx
        movw    $2, %cx                 /* cylinder 0, sector 2 */
        movb    $0, %dh
        int     $0x13
        jnc     enter_long_mode
        movb    $'E', %al
        movw    $COM1, %dx
        outb    %al, %dx
2:      hlt
        jmp     2b

/* As firmware: copied to where the boot sector would be, from the top 64 KiB of the ROM. */
rom_start:
        cli
        movw    $0xf000, %ax
        movw    %ax, %ds
        xorw    %ax, %ax
        movw    %ax, %es
        movw    %ax, %ss
        movw    $STACK, %sp
        xorw    %si, %si
        movw    $_start, %di
        movw    $(image_end - _start + 3) / 4, %cx
        cld
        rep movsl
        movw    %ax, %ds
        ljmp    $0, $enter_long_mode

enter_long_mode:
        inb     $0x92, %al              /* the A20 gate */
        orb     $2, %al
        andb    $0xfe, %al
        outb    %al, $0x92
        cld
        movw    $PML4, %di
        xorl    %eax, %eax
        movw    $0x6000 / 4, %cx
        rep stosl
        movl    $PML4 + 0x1003, PML4
        movl    $PML4 + 0x2003, PML4 + 0x1000
        movl    $PML4 + 0x3003, PML4 + 0x1008
        movl    $PML4 + 0x4003, PML4 + 0x1010
        movl    $PML4 + 0x5003, PML4 + 0x1018
        movw    $PML4 + 0x2000, %di
        movl    $0x83, %eax             /* present, writable, 2 MiB */
        movw    $2048, %cx
1:      movl    %eax, (%di)
        addw    $8, %di
        addl    $0x200000, %eax
        loop    1b
        movl    $0x20, %eax             /* PAE */
        movl    %eax, %cr4
        movl    $PML4, %eax
        movl    %eax, %cr3
        movl    $0xc0000080, %ecx       /* EFER.LME */
        rdmsr
        orl     $0x100, %eax
        wrmsr
        lgdtl   gdt_pointer
        movl    $0x80000011, %eax       /* paging, protection */
        movl    %eax, %cr0
        ljmp    $8, $long_mode

        .org 510
        .word   0xaa55
        .balign 8
gdt:    .quad   0
        .quad   0x00209a0000000000      /* 64-bit code */
        .quad   0x0000920000000000      /* data */
gdt_pointer:
        .word   23
        .long   gdt
idt_pointer:
        .word   IDT_BYTES - 1
        .quad   IDT

        .code64
long_mode:
        movl    $16, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        xorl    %eax, %eax
        movl    %eax, %fs
        movl    %eax, %gs
        movl    $STACK, %esp
        call    serial_setup
        call    interrupts_setup
        rdtsc
        xorl    %edx, %eax
        movl    %eax, boot_id
        call    read_rtc
        call    fill_regions
        call    power_setup
        call    pit_setup
        sti

main:   cli
        cmpl    $0, pending
        jne     1f
        sti                             /* takes effect after the next instruction: no interrupt is lost */
        hlt
        jmp     main
1:      decl    pending
        sti
        call    dirty_some
        decl    irqs_left
        jnz     main
        movl    irqs_per_tick, %eax
        movl    %eax, irqs_left
        incq    counter
        call    verify_static
        call    read_rtc
        call    write_line
        call    power_off_if_due
        jmp     main

/* ---- memory ---------------------------------------------------------------------------------------------- */

/* rdi = page, rsi = pass -> rax = first word of the page as written in that pass; each word then adds r8. */
page_seed:
        movabsq $0xff51afd7ed558ccd, %rax
        imulq   %rdi, %rax
        imulq   $0x2545f491, %rsi, %rdx
        xorq    %rdx, %rax
        movabsq $STEP, %r8
        ret

write_page:                             /* keeps rdi */
        call    page_seed
        xorl    %ecx, %ecx
1:      movq    %rax, (%rdi,%rcx,8)
        addq    %r8, %rax
        incl    %ecx
        cmpl    $512, %ecx
        jne     1b
        ret

verify_page:                            /* keeps rdi, rsi; counts a page that differs */
        call    page_seed
        xorl    %ecx, %ecx
1:      cmpq    %rax, (%rdi,%rcx,8)
        jne     2f
        addq    %r8, %rax
        incl    %ecx
        cmpl    $512, %ecx
        jne     1b
        ret
2:      incq    bad
        ret

fill_regions:
        movl    static_pages, %ebx
        addl    dirty_pages, %ebx
        movl    $REGION, %edi
1:      xorl    %esi, %esi
        call    write_page
        addq    $4096, %rdi
        decl    %ebx
        jnz     1b
        ret

verify_static:
        movl    $REGION, %edi
        xorl    %esi, %esi
        call    verify_page
        movl    static_next, %edi
        shll    $12, %edi
        addl    $REGION, %edi
        call    verify_page
        movl    static_next, %eax
        incl    %eax
        cmpl    static_pages, %eax
        jb      1f
        xorl    %eax, %eax
1:      movl    %eax, static_next
        ret

dirty_some:                             /* the pages that are due since the last interrupt */
        cmpl    $0, dirty_pages
        je      3f
        movl    dirty_per_irq, %ebx
        addl    dirty_owed, %ebx
        movzwl  %bx, %eax
        movl    %eax, dirty_owed
        shrl    $16, %ebx
        jz      3f
1:      movl    dirty_next, %edi
        addl    static_pages, %edi
        shll    $12, %edi
        addl    $REGION, %edi
        movl    dirty_pass, %esi
        call    verify_page
        incl    %esi
        call    write_page
        incq    dirtied
        incl    dirty_next
        movl    dirty_next, %eax
        cmpl    dirty_pages, %eax
        jb      2f
        movl    $0, dirty_next
        incl    dirty_pass
2:      decl    %ebx
        jnz     1b
3:      ret

/* ---- devices --------------------------------------------------------------------------------------------- */

serial_setup:                           /* 115200 8N1, FIFO on, no interrupts */
        movw    $COM1 + 3, %dx
        movb    $0x80, %al
        outb    %al, %dx
        movw    $COM1, %dx
        movb    $1, %al
        outb    %al, %dx
        incl    %edx
        movb    $0, %al
        outb    %al, %dx
        movw    $COM1 + 3, %dx
        movb    $3, %al
        outb    %al, %dx
        movw    $COM1 + 1, %dx
        movb    $0, %al
        outb    %al, %dx
        incl    %edx
        movb    $7, %al
        outb    %al, %dx
        ret

interrupts_setup:
        movl    $IDT, %edi
        xorl    %ecx, %ecx
1:      movl    $on_fault, %eax
        cmpl    $32, %ecx
        jb      2f
        movl    $on_timer, %eax
        je      2f
        movl    $on_spurious, %eax
2:      movw    %ax, (%rdi)
        movl    $0x8e000008, 2(%rdi)    /* code selector, present interrupt gate */
        movw    $0, 6(%rdi)
        movq    $0, 8(%rdi)
        addl    $16, %edi
        incl    %ecx
        cmpl    $48, %ecx
        jne     1b
        lidt    idt_pointer
        movb    $0x11, %al              /* both interrupt controllers: vectors 32 to 47, only the timer unmasked */
        outb    %al, $0x20
        outb    %al, $0xa0
        movb    $32, %al
        outb    %al, $0x21
        movb    $40, %al
        outb    %al, $0xa1
        movb    $4, %al
        outb    %al, $0x21
        movb    $2, %al
        outb    %al, $0xa1
        movb    $1, %al
        outb    %al, $0x21
        outb    %al, $0xa1
        movb    $0xfe, %al
        outb    %al, $0x21
        movb    $0xff, %al
        outb    %al, $0xa1
        movl    $LOCAL_APIC, %ebx       /* let the controllers through: firmware would, but there may be none */
        movl    $0x1ff, 0xf0(%rbx)
        movl    $0x700, 0x350(%rbx)     /* LINT0: external interrupts */
        ret

pit_setup:
        movb    $0x34, %al              /* channel 0, rate generator */
        outb    %al, $0x43
        movl    pit_divisor, %eax
        outb    %al, $0x40
        movb    %ah, %al
        outb    %al, $0x40
        movl    irqs_per_tick, %eax
        movl    %eax, irqs_left
        ret

power_setup:                            /* enable the registers in the chipset, at PM */
        xorl    %eax, %eax
        call    pci_select
        inl     %dx, %eax
        movl    $0xf844, %ecx           /* q35: 0:1f.0, ACPI control */
        movl    $0x80, %ebx
        cmpl    $0x29c08086, %eax
        je      1f
        movl    $0xb80, %ecx            /* pc: 0:1.3, miscellaneous */
        movl    $1, %ebx
1:      movl    %ecx, %eax
        call    pci_select
        xchgl   %eax, %ebx
        outl    %eax, %dx
        movl    %ecx, %eax
        andl    $0xff00, %eax
        orl     $0x40, %eax             /* base address */
        call    pci_select
        movl    $PM + 1, %eax
        outl    %eax, %dx
        movw    $PM + 2, %dx
        movw    $0x100, %ax             /* report the power button */
        outw    %ax, %dx
        ret

pci_select:                             /* eax = bus, device, function and register -> dx = where its value is */
        orl     $0x80000000, %eax
        movw    $0xcf8, %dx
        outl    %eax, %dx
        movw    $0xcfc, %dx
        ret

power_off_if_due:                       /* at the set count, or when the power button was pressed */
        movl    poweroff_at, %eax
        testl   %eax, %eax
        jz      1f
        cmpq    counter, %rax
        je      2f
1:      movw    $PM, %dx
        inw     %dx, %ax
        testw   $0x100, %ax
        jz      3f
2:      movw    $PM + 4, %dx
        movw    $0x2000, %ax            /* soft off, now */
        outw    %ax, %dx
3:      ret

on_timer:
        pushq   %rax
        cmpl    $4, pending             /* too slow for the wanted rate: fall behind, never race to catch up */
        jae     1f
        incl    pending
1:      movb    $0x20, %al
        outb    %al, $0x20
        popq    %rax
on_spurious:
        iretq

on_fault:
        movl    $fault_text, %esi
        movl    $fault_text_end - fault_text, %ecx
        call    write_bytes
1:      cli
        hlt
        jmp     1b

read_rtc:
        movb    $0x0a, %al
        outb    %al, $0x70
        inb     $0x71, %al
        testb   $0x80, %al              /* being updated: keep what we have */
        jnz     1f
        movl    $rtc_text, %edi
        movb    $4, %al
        call    rtc_digits
        movb    $2, %al
        call    rtc_digits
        movb    $0, %al
        call    rtc_digits
1:      ret

rtc_digits:                             /* al = register, binary coded decimal -> two characters and a separator */
        outb    %al, $0x70
        inb     $0x71, %al
        movb    %al, %ah
        shrb    $4, %al
        andb    $0x0f, %ah
        orw     $0x3030, %ax
        movw    %ax, (%rdi)
        addl    $3, %edi
        ret

/* ---- the line -------------------------------------------------------------------------------------------- */

write_line:
        movl    $line, %edi
        movl    $text_n, %esi
        call    put_text
        movq    counter, %rax
        call    put_decimal
        movl    $text_boot, %esi
        call    put_text
        movl    boot_id, %eax
        movl    $8, %ecx
        call    put_hex
        movl    $text_ok, %esi
        cmpq    $0, bad
        je      1f
        movl    $text_bad, %esi
1:      call    put_text
        movq    bad, %rax
        call    put_decimal
        movl    $text_pages, %esi
        call    put_text
        movq    dirtied, %rax
        call    put_decimal
        movl    $text_tsc, %esi
        call    put_text
        rdtsc
        shlq    $32, %rdx
        orq     %rdx, %rax
        movl    $16, %ecx
        call    put_hex
        movl    $text_rtc, %esi
        call    put_text
        movb    $'\n', (%rdi)
        incl    %edi
        movl    $line, %esi
        movl    %edi, %ecx
        subl    %esi, %ecx
write_bytes:                            /* rsi, ecx */
        movw    $COM1 + 5, %dx
1:      inb     %dx, %al
        testb   $0x20, %al
        jz      1b
        movw    $COM1, %dx
        movl    $16, %ebx               /* the size of the FIFO */
        cmpl    %ebx, %ecx
        cmovb   %ecx, %ebx
        subl    %ebx, %ecx
        xchgl   %ebx, %ecx
        rep outsb
        movl    %ebx, %ecx
        testl   %ecx, %ecx
        jnz     write_bytes
        ret

put_text:                               /* rsi, ends with a zero */
        lodsb
        testb   %al, %al
        jz      1f
        stosb
        jmp     put_text
1:      ret

put_decimal:                            /* rax */
        movl    $10, %ebx
        xorl    %ecx, %ecx
1:      xorl    %edx, %edx
        divq    %rbx
        pushq   %rdx
        incl    %ecx
        testq   %rax, %rax
        jnz     1b
2:      popq    %rax
        addb    $'0', %al
        stosb
        loop    2b
        ret

put_hex:                                /* rax, ecx digits */
        leal    (,%ecx,4), %ecx
1:      subl    $4, %ecx
        movq    %rax, %rbx
        shrq    %cl, %rbx
        andl    $15, %ebx
        movb    hex_digits(%rbx), %bl
        movb    %bl, (%rdi)
        incl    %edi
        testl   %ecx, %ecx
        jnz     1b
        ret

hex_digits:     .ascii "0123456789abcdef"
fault_text:     .ascii "tick: processor fault\n"
fault_text_end:
text_n:         .asciz "tick n="
text_boot:      .asciz " boot="
text_ok:        .asciz " ok bad="
text_bad:       .asciz " BAD bad="
text_pages:     .asciz " pages="
text_tsc:       .asciz " tsc="
text_rtc:       .ascii " rtc="
rtc_text:       .asciz "00:00:00"

        .balign 8
counter:        .quad 0
bad:            .quad 0
dirtied:        .quad 0
boot_id:        .long 0
pending:        .long 0
irqs_left:      .long 0
static_next:    .long 0
dirty_next:     .long 0
dirty_pass:     .long 0
dirty_owed:     .long 0
line:           .skip 160
        .balign 512
image_end:
