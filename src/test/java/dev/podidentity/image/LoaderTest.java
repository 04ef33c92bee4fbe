package dev.podidentity.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

class LoaderTest {

    @Test
    void listsWhatItWillOpenInTheImage() throws IOException {
        assertThat(Loader.libraries(List.of(
                        "\tlinux-vdso.so.1 (0x00007ffd2a5f2000)",
                        "\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f2863185000)",
                        "\t/lib64/ld-linux-x86-64.so.2 (0x00007f286337a000)")))
                .containsExactly(Path.of("/lib/x86_64-linux-gnu/libc.so.6"));
    }

    @Test
    void namesALibraryThatItDoesNotFind() {
        assertThatThrownBy(() -> Loader.libraries(List.of("\tlibz.so.1 => not found")))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("libz.so.1");
    }
}
