package dev.podidentity.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The page on configuration against the code. */
class ConfigurationPageTest {

    private static final Path PAGE = Path.of("docs/configuration.md");

    @Test
    void listsEveryFlagWithItsDefaultAndNoOther() throws IOException {
        // Given
        List<String> expected = Flag.ALL.stream()
                .map(flag -> "| `--" + flag.name() + '`'
                        + flag.letter().map(letter -> ", `-" + letter + '`').orElse("")
                        + " | " + (flag.initial().isEmpty() ? "" : '`' + flag.initial() + '`') + " | ")
                .toList();

        // When
        List<String> rows = Files.readAllLines(PAGE).stream().filter(line -> line.startsWith("| `--")).toList();

        // Then
        assertThat(rows).hasSameSizeAs(expected);
        assertThat(rows).allSatisfy(row -> assertThat(expected).anyMatch(row::startsWith));
        assertThat(rows).allSatisfy(row -> assertThat(row).endsWith(". |").doesNotContain("@", "*/"));
        assertThat(expected).allSatisfy(start -> assertThat(rows).anyMatch(row -> row.startsWith(start)));
    }
}
