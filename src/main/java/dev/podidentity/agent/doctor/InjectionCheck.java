package dev.podidentity.agent.doctor;

import dev.podidentity.agent.doctor.Pod.Container;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Checks that EKS's webhook has injected the two variables and the token into the pod, and that they are unchanged. */
final class InjectionCheck implements Check {

    static final String URI = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    static final String TOKEN_FILE = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";

    private static final String AUDIENCE = "pods.eks.amazonaws.com";
    private static final Set<String> URIS =
            Set.of("http://169.254.170.23/v1/credentials", "http://[fd00:ec2::23]/v1/credentials");
    private static final String AGAIN = "Create the association if there is none, then create the pod again (kubectl rollout"
            + " restart): the webhook adds them only when a pod is created";

    private final Pod pod;

    InjectionCheck(Pod pod) {
        this.pod = pod;
    }

    @Override
    public String name() {
        return "injection";
    }

    @Override
    public List<Finding> examine() {
        List<Container> without = pod.containers().stream().filter(container -> !injected(container)).toList();
        if (without.size() == pod.containers().size()) {
            return List.of(Finding.fail("Nothing was injected: " + URI + " and " + TOKEN_FILE + " are not set in any container."
                    + " When it was created, its service account had no association, or EKS did not know of it yet", AGAIN));
        }
        List<Finding> findings = new ArrayList<>();
        without.forEach(container -> findings.add(Finding.warn("The container " + container.name() + " does not have both of "
                + URI + " and " + TOKEN_FILE, "It gets no credentials from EKS Pod Identity, which is fine if it needs none")));
        pod.containers().stream().filter(InjectionCheck::injected).forEach(container -> findings.add(finding(container)));
        return findings;
    }

    private static boolean injected(Container container) {
        return container.environment().keySet().containsAll(Set.of(URI, TOKEN_FILE));
    }

    private Finding finding(Container container) {
        Map<String, String> environment = container.environment();
        String file = environment.get(TOKEN_FILE);
        String who = "The container " + container.name();
        if (!URIS.contains(environment.get(URI))) {
            return Finding.fail(who + " uses the endpoint " + environment.get(URI) + ", which is not this agent's",
                    "Remove " + URI + " from the pod's template, so that the webhook sets it");
        }
        Optional<Tree> mount = container.mounts().stream()
                .filter(one -> one.at("mountPath").text().map(path -> file.startsWith(path.replaceFirst("/+$", "") + "/")).orElse(false))
                .findFirst();
        if (mount.isEmpty()) {
            return Finding.fail(who + " has no volume at the path of its token: " + file, AGAIN);
        }
        String path = file.substring(mount.get().at("mountPath").text().orElse("").replaceFirst("/+$", "").length() + 1);
        Optional<Tree> token = pod.volumes().stream()
                .filter(volume -> volume.at("name").text().equals(mount.get().at("name").text()))
                .flatMap(volume -> volume.at("projected", "sources").each().stream())
                .map(source -> source.at("serviceAccountToken"))
                .filter(source -> source.at("path").text().equals(Optional.of(path)))
                .findFirst();
        if (token.isEmpty()) {
            return Finding.fail(who + " has a volume without a service-account token at " + file, AGAIN);
        }
        String audience = token.get().at("audience").text().orElse("");
        return audience.equals(AUDIENCE)
                ? Finding.ok(who + " has the two variables and a token for " + AUDIENCE)
                : Finding.fail(who + " has a token for the audience \"" + audience + "\"; EKS Auth requires " + AUDIENCE,
                        "Remove the volume from the pod's template, so that the webhook creates it");
    }
}
