package dev.podidentity.agent.memory;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MappingTest {

    @Test
    void readsWhatTheKernelLists() {
        // When
        List<Mapping> mappings = Mapping.read("""
                00410000-0158a000 r-xp 00010000 fe:00 316530                     /eks-pod-identity-agent
                Size:              17896 kB
                Rss:               14208 kB
                Anonymous:             0 kB
                VmFlags: rd ex mr mw me sd
                7fe4e9480000-7fe4ea33f000 rw-p 027c0000 fe:00 316530             /a file with spaces
                Anonymous:          1716 kB
                7ffc0ff9c000-7ffc0ffbd000 rw-p 00000000 00:00 0\s
                Anonymous:            24 kB
                ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0          [vsyscall]
                Anonymous:             0 kB
                """.lines());

        // Then
        assertThat(mappings).containsExactly(
                new Mapping(0x410000, 0x117a000, "r-xp", "/eks-pod-identity-agent", 0),
                new Mapping(0x7fe4e9480000L, 0xebf000, "rw-p", "/a file with spaces", 1716 * 1024),
                new Mapping(0x7ffc0ff9c000L, 0x21000, "rw-p", "", 24 * 1024),
                new Mapping(0xffffffffff600000L, 0x1000, "--xp", "[vsyscall]", 0));
    }

    @Test
    void leavesOutWhatIsNotWhole() {
        assertThat(Mapping.read(Stream.of(
                        "Anonymous: 3 kB", "00400000-00405000 r--p 00000000 fe:00 1 /agent", "Rss: 4 kB", "Anonymous: 0 kB",
                        "Anonymous: 3 kB", "", "00405000-00406000 r--p", "Anonymous: 3 kB")))
                .containsExactly(new Mapping(0x400000, 0x5000, "r--p", "/agent", 0));
    }

    @Test
    void readsThisProcess() throws IOException {
        List<Mapping> mappings = Mapping.read(
                Files.readAllLines(Path.of("/proc/self/smaps"), StandardCharsets.UTF_8).stream());

        assertThat(mappings).anyMatch(mapping -> mapping.file().contains("libc") && mapping.constant());
        assertThat(mappings).anyMatch(mapping -> mapping.permissions().equals("rw-p") && mapping.changed() > 0);
    }

    @ParameterizedTest
    @CsvSource({
        "r-xp, 0, true",
        "r--p, 0, true",
        // Addresses that the loader has filled in before it protected them.
        "r--p, 4096, false",
        "rw-p, 0, false",
        "rwxp, 0, false",
        "r--s, 0, false",
        "---p, 0, false",
    })
    void onlyWhatIsTheFilesAndStaysSoIsConstant(String permissions, long changed, boolean constant) {
        assertThat(new Mapping(0, 4096, permissions, "/agent", changed).constant()).isEqualTo(constant);
    }
}
