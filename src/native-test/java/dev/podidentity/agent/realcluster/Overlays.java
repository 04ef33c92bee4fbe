package dev.podidentity.agent.realcluster;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;

/** Writes overlays of {@code kubernetes/} as users would. */
final class Overlays {

    private static final Path MANIFESTS = Path.of("kubernetes").toAbsolutePath();

    private Overlays() {}

    /**
     * Writes an overlay into a new directory of the cluster.
     *
     * @param content its first lines, in which {@code %s} stands for the directory of the manifests
     * @param literals the variables that it adds to the agent's environment
     */
    static Path write(RealCluster cluster, String content, List<String> literals) {
        try {
            Path all = Files.createDirectories(cluster.api().directory().toRealPath().resolve("overlays"));
            Path directory = Files.createTempDirectory(all, "overlay-");
            // kustomize does not accept absolute paths.
            String manifests = directory.relativize(MANIFESTS.toRealPath()).toString();
            Files.writeString(directory.resolve("kustomization.yaml"), content.replace("%s", manifests) + """

                    namespace: kube-system
                    configMapGenerator:
                      - name: eks-pod-identity-agent
                        namespace: kube-system
                        behavior: merge
                        literals:
                    """ + literals.stream().map(each -> "      - " + each + "\n").collect(Collectors.joining()));
            return directory;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
