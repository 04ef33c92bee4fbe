package dev.podidentity.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ExecutableTest {

    @TempDir
    private Path directory;

    @ParameterizedTest
    @CsvSource({"62, amd64", "183, arm64"})
    void tellsWhatMachineItIsFor(short machine, String architecture) throws IOException {
        assertThat(Executable.read(elf(machine, "/lib/ld.so")).architecture()).isEqualTo(architecture);
    }

    @Test
    void namesItsLoader() throws IOException {
        assertThat(Executable.read(elf((short) 62, "/lib64/ld-linux-x86-64.so.2")).interpreter())
                .contains("/lib64/ld-linux-x86-64.so.2");
    }

    @Test
    void hasNoLoaderWhenItIsLinkedStatically() throws IOException {
        assertThat(Executable.read(elf((short) 62, null)).interpreter()).isEmpty();
    }

    @Test
    void isRefusedForAMachineThatNoImageIsMadeFor() {
        assertThatThrownBy(() -> Executable.read(elf((short) 21, "/lib/ld.so")))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("21");
    }

    @Test
    void isRefusedWhenItIsSomethingElse() throws IOException {
        // Given
        Path script = Files.writeString(directory.resolve("script"), "#!/bin/sh\n" + "echo ".repeat(20));

        // Then
        assertThatThrownBy(() -> Executable.read(script)).isInstanceOf(IOException.class).hasMessageContaining("script");
    }

    /** Writes a file with an ELF header, a program header of type LOAD, and one for the interpreter unless it is null. */
    private Path elf(short machine, String interpreter) throws IOException {
        ByteBuffer elf = ByteBuffer.allocate(512).order(ByteOrder.LITTLE_ENDIAN);
        elf.putInt(0, 0x464c457f).put(4, (byte) 2).put(5, (byte) 1).putShort(18, machine);
        elf.putLong(32, 64).putShort(54, (short) 56).putShort(56, (short) (interpreter == null ? 1 : 2));
        elf.putInt(64, 1);
        if (interpreter != null) {
            elf.putInt(120, 3).putLong(128, 300).putLong(152, interpreter.length() + 1L);
            elf.put(300, interpreter.getBytes(StandardCharsets.US_ASCII));
        }
        return Files.write(directory.resolve("executable"), elf.array());
    }
}
