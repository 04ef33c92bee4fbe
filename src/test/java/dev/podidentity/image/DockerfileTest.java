package dev.podidentity.image;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** Checks that the Dockerfile and the image that the build creates agree. */
class DockerfileTest {

    private static final Path DOCKERFILE = Path.of("image/Dockerfile");

    @Test
    void saysWhatTheArchiveSays() throws IOException {
        // Given
        String dockerfile = Files.readString(DOCKERFILE);
        Image image = new Image(
                Layer.of(List.of(), Instant.EPOCH), "amd64", "1.2.3", Instant.EPOCH, Optional.of("abc"), Optional.empty());

        // Then
        assertThat(dockerfile)
                .contains("USER " + Image.USER + "\n")
                .contains("ENTRYPOINT [\"" + Image.EXECUTABLE + "\"]\n")
                .contains("setcap " + FileCapability.TEXT + " " + Image.EXECUTABLE + "\n")
                .contains("ln --symbolic " + Image.EXECUTABLE.substring(1) + " /links" + Image.GO_RUNNER + "\n")
                .contains("COPY --from=executable /links/ /\n");
        assertThat(Pattern.compile("org\\.opencontainers\\.image\\.\\w+").matcher(dockerfile).results().map(MatchResult::group))
                .containsExactlyInAnyOrderElementsOf(image.labels().keySet());
        assertThat(dockerfile).contains(image.labels().get("org.opencontainers.image.description"),
                image.labels().get("org.opencontainers.image.licenses"));
    }

    @Test
    void endsInAStageWithNoShellAndRunsNothingInIt() throws IOException {
        // Given
        String dockerfile = Files.readString(DOCKERFILE);
        String end = dockerfile.substring(dockerfile.indexOf("FROM scratch"));

        // Then
        assertThat(end.lines().filter(line -> line.startsWith("FROM ")))
                .allMatch(line -> line.startsWith("FROM scratch AS ") || line.equals("FROM libc-${TARGETARCH}"));
        assertThat(end.lines()).noneMatch(line -> line.startsWith("RUN "));
    }

    @Test
    void namesNoRegistry() throws IOException {
        assertThat(Files.readAllLines(DOCKERFILE).stream().filter(line -> line.contains("FROM ")))
                .noneMatch(line -> line.matches(".*FROM .*[.:/].*/.*"));
    }
}
