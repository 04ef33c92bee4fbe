package dev.podidentity.agent.eksauth;

import java.time.Clock;
import java.time.Instant;
import java.util.regex.Pattern;
import software.amazon.awssdk.services.eksauth.model.AssumeRoleForPodIdentityResponse;
import software.amazon.awssdk.services.eksauth.model.AssumedRoleUser;
import software.amazon.awssdk.services.eksauth.model.Credentials;
import software.amazon.awssdk.services.eksauth.model.PodIdentityAssociation;
import software.amazon.awssdk.services.eksauth.model.Subject;

/** Reads a successful response of EKS Auth. Any field may be missing in a bad response, which becomes a failure. */
final class AnswerReader {

    /** arn:partition:sts::account:assumed-role/role/session, in any partition. */
    private static final Pattern ASSUMED_ROLE_ARN = Pattern.compile("arn:[^:]+:sts::(\\d{12}):assumed-role/.+");

    private final Clock clock;

    AnswerReader(Clock clock) {
        this.clock = clock;
    }

    EksAuthAnswer read(AssumeRoleForPodIdentityResponse answer) {
        Credentials credentials = answer.credentials();
        AssumedRoleUser role = answer.assumedRoleUser();
        Subject subject = answer.subject();
        PodIdentityAssociation association = answer.podIdentityAssociation();
        if (credentials == null) {
            return lacks("credentials");
        }
        if (role == null) {
            return lacks("assumedRoleUser");
        }
        if (subject == null) {
            return lacks("subject");
        }
        if (association == null) {
            return lacks("podIdentityAssociation");
        }
        if (blank(answer.audience())) {
            return lacks("audience");
        }
        if (blank(credentials.accessKeyId())) {
            return lacks("credentials.accessKeyId");
        }
        if (blank(credentials.secretAccessKey())) {
            return lacks("credentials.secretAccessKey");
        }
        if (blank(credentials.sessionToken())) {
            return lacks("credentials.sessionToken");
        }
        Instant expiration = credentials.expiration();
        if (expiration == null) {
            return lacks("credentials.expiration");
        }
        if (blank(role.arn())) {
            return lacks("assumedRoleUser.arn");
        }
        if (blank(role.assumeRoleId())) {
            return lacks("assumedRoleUser.assumeRoleId");
        }
        if (blank(subject.namespace())) {
            return lacks("subject.namespace");
        }
        if (blank(subject.serviceAccount())) {
            return lacks("subject.serviceAccount");
        }
        if (blank(association.associationId())) {
            return lacks("podIdentityAssociation.associationId");
        }
        if (blank(association.associationArn())) {
            return lacks("podIdentityAssociation.associationArn");
        }
        var arn = ASSUMED_ROLE_ARN.matcher(role.arn());
        if (!arn.matches()) {
            return bad("its assumedRoleUser.arn is not the ARN of an assumed role");
        }
        if (!expiration.isAfter(clock.instant())) {
            return bad("its credentials have already expired; check the clock of this node");
        }
        return new IssuedCredentials(
                credentials.accessKeyId(),
                credentials.secretAccessKey(),
                credentials.sessionToken(),
                arn.group(1),
                expiration,
                subject.namespace(),
                subject.serviceAccount(),
                role.arn(),
                association.associationId());
    }

    private static boolean blank(String value) {
        return value == null || value.isBlank();
    }

    private static TransientFailure lacks(String field) {
        return bad("it has no " + field);
    }

    private static TransientFailure bad(String what) {
        return new TransientFailure(TransientFailure.Reason.BAD_ANSWER, "The response of EKS Auth cannot be used: " + what);
    }
}
