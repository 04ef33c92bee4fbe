package dev.podidentity.emulator;

import java.util.concurrent.ThreadLocalRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Assigns a role to the pods of a service account. */
public record Association(String namespace, String serviceAccount, String roleArn, String associationId) {

    private static final Pattern NAME = Pattern.compile("[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?");
    private static final Pattern ROLE_ARN = Pattern.compile("arn:([^:]+):iam::(\\d{12}):role/(?:.*/)?([^/]+)");
    private static final Pattern ID = Pattern.compile("a-[0-9a-z]+");

    public Association {
        require(NAME, "namespace must be a Kubernetes name", namespace);
        require(NAME, "serviceAccount must be a Kubernetes name", serviceAccount);
        require(ROLE_ARN, "roleArn must be the ARN of an IAM role", roleArn);
        require(ID, "associationId must be a- and lower-case letters or digits", associationId);
    }

    /** Creates an association with a random ID. */
    static Association of(String namespace, String serviceAccount, String roleArn) {
        long random = ThreadLocalRandom.current().nextLong(Long.MAX_VALUE);
        return new Association(namespace, serviceAccount, roleArn, "a-" + Long.toString(random, Character.MAX_RADIX));
    }

    String partition() {
        return roleArnPart(1);
    }

    String account() {
        return roleArnPart(2);
    }

    /** Returns the role's name without its path, as in the ARN of an assumed role. */
    String role() {
        return roleArnPart(3);
    }

    private String roleArnPart(int group) {
        Matcher matcher = ROLE_ARN.matcher(roleArn);
        matcher.matches();
        return matcher.group(group);
    }

    private static void require(Pattern pattern, String rule, String value) {
        if (value == null || !pattern.matcher(value).matches()) {
            throw new IllegalArgumentException(rule + ": " + value);
        }
    }
}
