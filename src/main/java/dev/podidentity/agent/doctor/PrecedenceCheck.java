package dev.podidentity.agent.doctor;

import dev.podidentity.agent.doctor.Pod.Container;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Checks that an SDK in the pod finds no other credentials before those of EKS Pod Identity. */
final class PrecedenceCheck implements Check {

    private final Pod pod;

    PrecedenceCheck(Pod pod) {
        this.pod = pod;
    }

    @Override
    public String name() {
        return "precedence";
    }

    @Override
    public List<Finding> examine() {
        List<Finding> findings = new ArrayList<>();
        for (Container container : pod.containers()) {
            String who = "The container " + container.name();
            Map<String, String> environment = container.environment();
            Set<String> set = environment.keySet();
            if (set.containsAll(Set.of("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))) {
                findings.add(Finding.warn(who + " has static keys in AWS_ACCESS_KEY_ID, which every SDK uses first",
                        "Remove AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"));
            }
            if (set.containsAll(Set.of("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"))) {
                findings.add(Finding.warn(who + " has an IRSA role in AWS_ROLE_ARN, which every SDK uses before EKS Pod Identity",
                        "Remove the annotation eks.amazonaws.com/role-arn from its service account, and create the pod again; see"
                                + " 'eks-pod-identity-agent doctor irsa'"));
            }
            for (String profile : List.of("AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE")) {
                if (set.contains(profile)) {
                    findings.add(Finding.warn(who + " has " + profile + ": SDKs use the credentials of a profile before EKS"
                            + " Pod Identity",
                            "Remove it, unless that profile names no credentials"));
                }
            }
            if (set.contains("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")) {
                findings.add(Finding.warn(who + " has AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, which SDKs use before "
                        + InjectionCheck.URI, "Remove it: it is for ECS"));
            }
            if (!container.unseenVariables().isEmpty()) {
                findings.add(Finding.skip(who + " gets variables from " + String.join(", ", container.unseenVariables())
                        + ", which doctor does not read", "Check that they set no AWS_ACCESS_KEY_ID, AWS_ROLE_ARN or AWS_PROFILE"));
            }
        }
        if (findings.isEmpty()) {
            findings.add(Finding.ok("No variable of the pod sets other credentials"));
        }
        return findings;
    }
}
