package dev.podidentity.image;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/**
 * The properties of a native executable that the image needs.
 *
 * @param file the path of the executable
 * @param content the whole file
 * @param architecture the machine architecture, as images name it
 * @param interpreter the dynamic loader with which the kernel runs the executable; empty if it is statically linked
 */
record Executable(Path file, byte[] content, String architecture, Optional<String> interpreter) {

    private static final int MAGIC = 0x464c457f;
    private static final int CLASS_64_LITTLE_ENDIAN = 0x0102;
    private static final int X86_64 = 62;
    private static final int AARCH64 = 183;
    private static final int PT_INTERP = 3;

    /** @throws IOException if the file cannot be read, or is not an executable for which an image can be built */
    static Executable read(Path file) throws IOException {
        byte[] content = Files.readAllBytes(file);
        ByteBuffer elf = ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN);
        if (content.length < 64 || elf.getInt(0) != MAGIC || elf.getShort(4) != CLASS_64_LITTLE_ENDIAN) {
            throw new IOException(file + " is not an executable for a 64-bit Linux");
        }
        return new Executable(file, content, architecture(file, elf.getShort(18)), interpreter(elf));
    }

    private static String architecture(Path file, short machine) throws IOException {
        return switch (machine) {
            case X86_64 -> "amd64";
            case AARCH64 -> "arm64";
            default -> throw new IOException(file + " is for a machine architecture without images: " + machine);
        };
    }

    private static Optional<String> interpreter(ByteBuffer elf) {
        int headers = (int) elf.getLong(32);
        short size = elf.getShort(54);
        short count = elf.getShort(56);
        for (int header = headers; header < headers + count * size; header += size) {
            if (elf.getInt(header) == PT_INTERP) {
                int start = (int) elf.getLong(header + 8);
                int lengthWithNul = (int) elf.getLong(header + 32);
                return Optional.of(new String(elf.array(), start, lengthWithNul - 1, StandardCharsets.US_ASCII));
            }
        }
        return Optional.empty();
    }
}
