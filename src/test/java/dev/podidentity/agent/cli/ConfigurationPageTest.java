package dev.podidentity.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

class ConfigurationPageTest {

    private static final Path PAGE = Path.of("docs/configuration.md");

    /** Ignores the page's links and backticks, because the help is plain text. */
    @Test
    void repeatsTheHelpOfEveryFlagWordForWord() throws IOException {
        List<String> expected = Flag.ALL.stream()
                .map(flag -> "| --" + flag.name() + flag.letter().map(letter -> ", -" + letter).orElse("")
                        + " | " + flag.initial() + " | " + flag.help() + " |")
                .toList();

        List<String> rows = Files.readAllLines(PAGE).stream()
                .filter(line -> line.startsWith("| `--"))
                .map(row -> row.replace("`", "").replaceAll("\\[([^]]+)]\\([^)]+\\)", "$1"))
                .toList();

        assertThat(rows).containsExactlyInAnyOrderElementsOf(expected);
    }
}
