"""Tapes of cases that failed once, with what was wrong. They run before any new ones."""

ONE_DEVICE = {
    "a directory made again meets a new one of its name": (
        "0000d40000000b45000009005b006300b20000003300770015000000535b000000dca9e70000000000230000000003000000007600a051"
    ),
    "an entry both moved and edited on both sides loses its move when its content is forked": (
        "00002a000000000000009ab4000000007c004400000000b80000434de70038a93f0000613e002c0f"
    ),
    "a cycle through a directory that only lives because it was moved": (
        "0000530000b5497b8a1600e7000000007436082f554acb0005002200b80000000000000000ce0025000093004400006a192050"
    ),
    "what a planned entry is a copy of depends on whether everything is planned": (
        "0000ec0000003600b7000000ea670000005f0000232f0000570000de0000000077c5890000002f007b0000000000000000"
        "00a1720000005a0000000000000000000000000000000000"
    ),
    "a synced row whose parent is adopted counts as behind": (
        "0000a400e14ef5002e2bc1042913eb0b000000000055397c76ae0000000049f50047007a8e297700598ac3"
    ),
    "a cycle whose only local move is of what the journal has ended": (
        "000000cb0013cc00000097008917d600650065a6d1fd7d00000000003e67093fcd00bc7011ce6b88007cf300000065f300684d587c480031"
    ),
    "a forked entry is taken for a new one of the same bytes at its new name": (
        "00000065007a0000030039f60000000003745700730080000000605500bd000033680050000072620000007c0000000000460077000000ad"
    ),
    "undone, a move ends where the entry was before it was ended": (
        "000000fd0000359100e70045010000000096c480000500ad4f000007e500610000054032470057770f1900210076b02120000017000000"
        "00"
    ),
    "a proposal below what cannot be read, and only would live again": (
        "000000ae0091ea0000b37653004400001f3d005600472f00000000b62e91da5e2b00a338000000dae9000000001d0018007f005500004"
        "5fd39000d005100000000000200000059807e1b476e001b"
    ),
    "a directory adopted as the one that the journal moved its entry to": (
        "0000004d00be6c1d76000000005dfb9e0000f400000000000000000076006b300000000000000d26cb00ae0085000000f21c20ed7ff376"
        "a774f8007f5e2300000071"
    ),
    "deletions below a deleted directory count for the brake": (
        "770080008a26b53935002d000000008000ab0026152b001d000000e00000003f0e344e65000000004f000000120f0000006f36002b86"
        "2a7f4f00380000f60a00"
    ),
}
