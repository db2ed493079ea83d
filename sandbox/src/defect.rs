//! The catalogue of defects that can be injected, and the set that is switched on.
//!
//! A defect is a small, realistic bug, implemented where it would occur; the code there calls `Defects::has`. All are
//! off by default. This file knows neither their implementation nor any test.
use std::fmt;

/// The category of a defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    WrongValue,
    MissingEffect,
    /// In only one of API, database and cluster.
    OneStoreOnly,
    WrongObject,
    TooLate,
    Duplicate,
    ResponseWithoutEffect,
    EffectWithoutResponse,
    StaleResponse,
    LostUnderConcurrency,
    LostAfterRetry,
    InformationLeak,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::WrongValue => "wrong value",
            Kind::MissingEffect => "missing effect",
            Kind::OneStoreOnly => "effect in one store only",
            Kind::WrongObject => "effect on the wrong object",
            Kind::TooLate => "too late",
            Kind::Duplicate => "duplicate",
            Kind::ResponseWithoutEffect => "response without effect",
            Kind::EffectWithoutResponse => "effect without response",
            Kind::StaleResponse => "stale response",
            Kind::LostUnderConcurrency => "lost under concurrency",
            Kind::LostAfterRetry => "lost after retry",
            Kind::InformationLeak => "information leak",
        })
    }
}

macro_rules! catalogue {
    ($($defect:ident $name:literal $kind:ident $description:literal)*) => {
        /// A bug that can be injected.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Defect {
            $($defect,)*
        }

        impl Defect {
            pub const ALL: &[Defect] = &[$(Defect::$defect,)*];

            pub fn name(self) -> &'static str {
                match self { $(Defect::$defect => $name,)* }
            }

            pub fn kind(self) -> Kind {
                match self { $(Defect::$defect => Kind::$kind,)* }
            }

            /// One line: what the platform does wrong.
            pub fn description(self) -> &'static str {
                match self { $(Defect::$defect => $description,)* }
            }
        }
    };
}

catalogue! {
    // batches
    BatchSkipsLast "batch-skips-last" ResponseWithoutEffect "a batch counts its last session as succeeded but does not change it"
    BatchActsOnLast "batch-acts-on-last" WrongObject "a batch applies every operation to its last session"
    BatchInDatabaseOnly "batch-in-database-only" OneStoreOnly "a batch changes the rows but not the cluster"
    BatchTouchesAlike "batch-touches-alike" WrongObject "a batch also changes sessions with a similar template name"
    BatchStopsAtFailure "batch-stops-at-failure" ResponseWithoutEffect "a batch skips everything after its first failure and counts it as succeeded"
    BatchRollsBack "batch-rolls-back" MissingEffect "one failure reverts the whole batch, but the counts do not show it"
    BatchPutsBack "batch-puts-back" LostAfterRetry "the first session of a batch is reverted a moment later"
    BatchToggles "batch-toggles" WrongObject "hibernating a hibernated session wakes it, beside the error"
    BatchMakesUnknown "batch-makes-unknown" WrongObject "a batch creates the unknown session, beside the error"
    BatchDropsUnknown "batch-drops-unknown" MissingEffect "unknown names are missing in counts and errors"
    BatchAlreadyIsSuccess "batch-already-is-success" WrongValue "a session that is in the requested state already counts as succeeded"
    BatchCountsAttempts "batch-counts-attempts" WrongValue "`succeeded` counts attempts"
    BatchCountsNothing "batch-counts-nothing" EffectWithoutResponse "a batch is carried out but all counts are zero"
    BatchCountsAsText "batch-counts-as-text" WrongValue "the counts are strings instead of numbers"
    BatchTotalOmitsUnknown "batch-total-omits-unknown" WrongValue "`total` does not count unknown names"
    BatchErrorsEmpty "batch-errors-empty" MissingEffect "failures are counted but not listed"
    BatchErrorsNull "batch-errors-null" WrongValue "`errors` is null if nothing failed"
    BatchErrorsTwice "batch-errors-twice" Duplicate "each failure is listed twice"
    BatchErrorsWrongName "batch-errors-wrong-name" WrongObject "an error carries the name of the previous session"
    BatchErrorsMixed "batch-errors-mixed" WrongObject "an error carries the reason of another session"
    BatchErrorsAsStrings "batch-errors-as-strings" WrongValue "errors are strings instead of objects with name and error"
    BatchErrorsBlank "batch-errors-blank" WrongValue "the error texts are empty"
    BatchErrorsCryptic "batch-errors-cryptic" WrongValue "an error text is a number instead of a reason"
    BatchErrorsTrace "batch-errors-trace" InformationLeak "an error contains a stack trace"
    BatchErrorsStale "batch-errors-stale" StaleResponse "a batch returns the errors of the previous batch"
    BatchErrorsListSuccess "batch-errors-list-success" WrongValue "`errors` also lists successes"
    BatchAnswers202 "batch-answers-202" WrongValue "a batch responds with 202"
    BatchAnswers207 "batch-answers-207" WrongValue "a batch with a failure responds with 207"
    BatchAnswers422 "batch-answers-422" EffectWithoutResponse "a batch with a failure responds with 422 and no counts, although the rest is done"
    BatchAnswersText "batch-answers-text" WrongValue "a batch responds with JSON labelled as plain text"
    BatchHangs "batch-hangs" EffectWithoutResponse "a batch with a failure is carried out but never responds"
    BatchDeleteKeepsRow "batch-delete-keeps-row" OneStoreOnly "a batch delete removes the objects but keeps the rows"
    BatchDeleteHibernates "batch-delete-hibernates" ResponseWithoutEffect "a batch delete hibernates the sessions instead"
    BatchUndoneLater "batch-undone-later" LostAfterRetry "the first session of a batch is reverted two and a half seconds later"
    BatchMakesUnknownLater "batch-makes-unknown-later" LostAfterRetry "a batch creates the unknown session two and a half seconds later"
    BatchRestartsOthers "batch-restarts-others" WrongObject "a batch restarts the pods of the user's other sessions"
    BatchLabelsOthers "batch-labels-others" WrongObject "a batch labels the objects of the user's other sessions"
    BatchUntagsOthers "batch-untags-others" WrongObject "a batch removes the tags of the user's other sessions"
    BatchTakesOthers "batch-takes-others" WrongObject "a batch is also applied to the user's hibernated sessions"
    BatchResetsResources "batch-resets-resources" WrongValue "a batch resets the resources of its sessions to the defaults"
    BatchDropsTags "batch-drops-tags" WrongValue "a batch removes the tags of its sessions"
    BatchRefusedRestarts "batch-refused-restarts" WrongObject "a session that a batch refuses is restarted, beside the error"
    BatchRefusedLabels "batch-refused-labels" WrongObject "a session that a batch refuses gets a label, beside the error"
    BatchRefusedUntags "batch-refused-untags" WrongObject "a session that a batch refuses loses its tags, beside the error"
    BatchFirstPage "batch-first-page" MissingEffect "a batch handles its first three names only, and counts no others"
    BatchPageOfEffects "batch-page-of-effects" ResponseWithoutEffect "a batch handles its first three names only, and counts the others as succeeded"
    BatchFirstError "batch-first-error" MissingEffect "`errors` has the first failure only"
    BatchErrorsOther "batch-errors-other" WrongObject "`errors` has one more entry, about a session that the batch does not name"
    BatchErrorsCutName "batch-errors-cut-name" WrongValue "an error has the first twenty characters of the name"
    BatchDeleteSkipsHibernated "batch-delete-skips-hibernated" ResponseWithoutEffect "a batch delete counts hibernated sessions as succeeded but does not delete them"

    // errors
    InvalidResourcesAccepted "invalid-resources-accepted" MissingEffect "invalid resources are replaced by defaults and accepted"
    InvalidResourcesUnbounded "invalid-resources-unbounded" MissingEffect "resources below the minimum or above the maximum are accepted"
    InvalidResourcesMade "invalid-resources-made" EffectWithoutResponse "invalid resources are refused, but the session is created"
    InvalidResources500 "invalid-resources-500" WrongValue "invalid resources return 500"
    InvalidResources200 "invalid-resources-200" WrongValue "invalid resources return 200 with an error in the body"
    InvalidResourcesWrongField "invalid-resources-wrong-field" WrongObject "the message names memory for invalid cpu and cpu for invalid memory"
    DatabaseDown500 "database-down-500" WrongValue "an unreachable database returns 500"
    DatabaseDown401 "database-down-401" WrongValue "an unreachable database returns 401 `User not found`"
    DatabaseDown404 "database-down-404" WrongValue "reading a session while the database is unreachable returns 404"
    DatabaseDownEmpty "database-down-empty" ResponseWithoutEffect "listing sessions while the database is unreachable returns an empty list"
    DatabaseDownHangs "database-down-hangs" TooLate "a create waits until the database is reachable again"
    DatabaseDownAccepts "database-down-accepts" ResponseWithoutEffect "a create while the database is unreachable is accepted and lost"
    DatabaseDownStays "database-down-stays" LostAfterRetry "after a create met an unreachable database, all creates fail until a restart"
    DatabaseDownTellsSql "database-down-tells-sql" InformationLeak "a create while the database is unreachable returns the failed SQL statement"
    CreateClusterFirst "create-cluster-first" OneStoreOnly "the object is created before the row and stays if the row cannot be written"
    ClusterDownForgets "cluster-down-forgets" ResponseWithoutEffect "a create while the cluster is unreachable is accepted and lost"
    ClusterDown400 "cluster-down-400" WrongValue "an unreachable cluster returns 400 `Template not found`"
    ClusterDownHangs "cluster-down-hangs" TooLate "a create waits until the cluster is reachable again"
    ClusterDownReads "cluster-down-reads" MissingEffect "sessions cannot be read while the cluster is unreachable"
    ClusterDownStays "cluster-down-stays" LostAfterRetry "after the cluster was unreachable, new sessions stay pending until a restart"
    ClusterDownTwice "cluster-down-twice" Duplicate "a create that waited for the cluster is carried out twice"
    ErrorsShareId "errors-share-id" WrongObject "all errors carry the same request id"
    ErrorsWithoutCode "errors-without-code" WrongValue "errors have an empty code"
    ErrorsVague "errors-vague" WrongValue "every error says `Something went wrong`"
    ErrorsTrace "errors-trace" InformationLeak "the body of an error contains a stack trace"
    ErrorsTellPlace "errors-tell-place" InformationLeak "an error contains its source file and line"
    ErrorsBlank "errors-blank" MissingEffect "errors have no body"
    ErrorsHtml "errors-html" WrongValue "errors are HTML pages"
    ErrorsNotLogged "errors-not-logged" MissingEffect "failed requests are not logged"
    ErrorsLoggedWithoutCause "errors-logged-without-cause" WrongValue "the log reports a failed request without the cause"
    ErrorsLogOtherId "errors-log-other-id" WrongObject "the log has another request id than the response"
    LogTellsToken "log-tells-token" InformationLeak "the log contains bearer tokens"
    InvalidResourcesZero "invalid-resources-zero" MissingEffect "a cpu or memory of 0 is replaced by the default"
    InvalidResourcesUnit "invalid-resources-unit" MissingEffect "an unknown unit is ignored: `100x` is taken for `100m`"
    InvalidResourcesSign "invalid-resources-sign" MissingEffect "the sign of negative memory is ignored"
    InvalidResourcesBare "invalid-resources-bare" MissingEffect "memory without a unit is taken for Mi"
    InvalidResourcesLate "invalid-resources-late" EffectWithoutResponse "invalid resources are refused, but two seconds later the session is created with the defaults"
    InvalidTypes500 "invalid-types-500" WrongValue "a body with values of the wrong type returns 500"
    DatabaseDownTellsUrl "database-down-tells-url" InformationLeak "an unreachable database is reported with its connection string"
    DatabaseDownTellsHost "database-down-tells-host" InformationLeak "an unreachable database is reported with its internal address"
    DatabaseDownCreatesLater "database-down-creates-later" EffectWithoutResponse "a create refused with 503 is carried out when the database is back"
    DatabaseDownLosesList "database-down-loses-list" LostAfterRetry "after the database was unreachable, lists are empty until a restart"
    DatabaseDownStopsAudit "database-down-stops-audit" LostAfterRetry "after the database was unreachable, nothing is audited until a restart"
    ClusterDownLists "cluster-down-lists" MissingEffect "sessions can be read but not listed while the cluster is unreachable"
    ClusterDownBreaksAudit "cluster-down-breaks-audit" MissingEffect "the audit log cannot be read while the cluster is unreachable"
    ClusterDownShowsFailed "cluster-down-shows-failed" WrongValue "sessions are shown as failed while the cluster is unreachable"
    ClusterDownTellsHost "cluster-down-tells-host" InformationLeak "a session is shown with the internal address of the cluster while that is unreachable"
    ClusterDownRestarts "cluster-down-restarts" WrongObject "when the cluster is back, all sessions are hibernated and woken"
    ErrorsTraceHeader "errors-trace-header" InformationLeak "a header of each error contains a stack trace"
    ErrorsTraceNotFound "errors-trace-not-found" InformationLeak "only a 404 contains a stack trace"
    ErrorsTraceUnauthorized "errors-trace-unauthorized" InformationLeak "only a 401 contains a stack trace"
    ErrorsTraceJava "errors-trace-java" InformationLeak "errors contain a stack trace of Java without file names"
    ErrorsTracePython "errors-trace-python" InformationLeak "errors contain the last frame of a Python traceback"
    ErrorsTraceDotnet "errors-trace-dotnet" InformationLeak "errors contain a stack trace of .NET without file names"
    ErrorsTracePhp "errors-trace-php" InformationLeak "errors contain a stack trace of PHP"
    ErrorsTraceRuby "errors-trace-ruby" InformationLeak "errors contain a backtrace of Ruby"
    ErrorsNotFoundBlank "errors-not-found-blank" MissingEffect "a 404 has no body"
    ErrorsOneCode "errors-one-code" WrongValue "all errors have the code `error`"
    ErrorsLoggedAsInfo "errors-logged-as-info" WrongValue "failures of a request are logged as INFO"
    ErrorsLogServerCauseless "errors-log-server-causeless" MissingEffect "the log reports a server error without the cause"

    // synchronisation
    CreateOnlyRow "create-only-row" OneStoreOnly "a create writes the row but not the object"
    UpdateOnlyRow "update-only-row" OneStoreOnly "an update changes the row but not the object"
    UpdateOnlyObject "update-only-object" OneStoreOnly "an update changes the object but not the row"
    UpdateReplaces "update-replaces" WrongObject "an update deletes the object and creates another one"
    UpdateResets "update-resets" WrongValue "an update of the state resets the object's resources to the defaults"
    UpdateReverts "update-reverts" LostAfterRetry "a moment after an update, a stale write restores the old state"
    StatusNeverFlowsBack "status-never-flows-back" MissingEffect "the status of the object never reaches the row"
    StatusFlowsLate "status-flows-late" TooLate "the status of the object reaches the row seconds late"
    StatusAssumed "status-assumed" ResponseWithoutEffect "the API reports the requested state as reached without asking the controller"
    StatusOfOther "status-of-other" WrongObject "the status of one object is written to another session's row"
    AddressOfOther "address-of-other" WrongObject "the API returns the address of the user's newest session"
    ReadsStale "reads-stale" StaleResponse "reading a session repeatedly returns the first response for as long as reads continue"
    ReconcileLate "reconcile-late" TooLate "the controller acts seconds after a change"
    RunningBeforePod "running-before-pod" ResponseWithoutEffect "the phase is Running before there is a pod"
    HibernatedKeepsPod "hibernated-keeps-pod" ResponseWithoutEffect "the phase is Hibernated but the pod keeps running"
    WakeWithoutPod "wake-without-pod" MissingEffect "a session that wakes gets no pod"
    RowWrongUser "row-wrong-user" WrongValue "the row belongs to the platform's own user instead of the caller"
    ObjectWithoutLabels "object-without-labels" WrongValue "the object has no labels"
    ObjectDefaultResources "object-default-resources" WrongValue "the object has default resources instead of the requested ones"
    ObjectWrongUser "object-wrong-user" WrongValue "the object belongs to the platform's own user instead of the caller"
    ObjectTwice "object-twice" Duplicate "a session gets two objects"
    DeleteKeepsRow "delete-keeps-row" OneStoreOnly "a delete removes the object but leaves the row unchanged"
    DeleteKeepsObject "delete-keeps-object" OneStoreOnly "a delete removes the row but not the object"
    DeleteOnlyAnswers "delete-only-answers" ResponseWithoutEffect "a delete is confirmed but not carried out"
    DeleteHides "delete-hides" OneStoreOnly "the API hides a deleted session, but row and object stay"
    DeleteComesBack "delete-comes-back" LostAfterRetry "a deleted session reappears a moment later"
    DeleteLate "delete-late" TooLate "an object is removed seconds after its delete"
    OrphansDeployment "orphans-deployment" MissingEffect "a Deployment has no owner reference and stays"
    OrphansService "orphans-service" MissingEffect "a Service has no owner reference and stays"
    OrphansConnections "orphans-connections" MissingEffect "the connections of a deleted session stay in the database"
    MissingUnnoticed "missing-unnoticed" StaleResponse "a vanished object goes unnoticed"
    MissingUnreported "missing-unreported" MissingEffect "a vanished object is noticed but not logged"
    MissingMarksOther "missing-marks-other" WrongObject "a vanished object marks another session as missing"
    MissingReportsAll "missing-reports-all" WrongValue "a vanished object reports every session as inconsistent"
    ManualIgnored "manual-ignored" MissingEffect "a manually created object is not adopted"
    ManualReadOnly "manual-read-only" OneStoreOnly "a manually created object is readable through the API but has no row"
    ManualTwice "manual-twice" Duplicate "a manually created object gets two rows"
    ManualDefaultResources "manual-default-resources" WrongValue "a manually created session is adopted with default resources"
    ManualWrongUser "manual-wrong-user" WrongValue "a manually created object gets a row of the platform's own user"
    ManualUnreported "manual-unreported" MissingEffect "a manually created object is adopted but not logged"
    ManualDisobeys "manual-disobeys" ResponseWithoutEffect "a manually created object is adopted, but API requests do not reach it"
    ListStatusStale "list-status-stale" StaleResponse "a list returns the status that each session had when it was created"
    ListAddressOfOther "list-address-of-other" WrongObject "a list returns the address of its first session for all"
    ListDefaultResources "list-default-resources" WrongValue "a list returns the default resources for all sessions"
    ListOmitsHibernated "list-omits-hibernated" MissingEffect "a list omits hibernated sessions"
    DetailDefaultResources "detail-default-resources" WrongValue "reading one session returns the default resources"
    DetailDropsPod "detail-drops-pod" MissingEffect "reading one session returns no pod"
    DetailOtherTemplate "detail-other-template" WrongObject "reading one session returns the template of the user's oldest session"
    ReadsFlicker "reads-flicker" StaleResponse "every fifth read of one session returns it as it was created"
    UpdateDropsLabels "update-drops-labels" WrongValue "an update removes the object's labels"
    UpdateDropsTimeouts "update-drops-timeouts" WrongValue "an update removes the object's timeouts"
    UpdateDropsTags "update-drops-tags" WrongValue "an update of the state removes the tags"
    UpdateMovesCreation "update-moves-creation" WrongValue "an update sets the time of creation"
    UpdateKeepsTime "update-keeps-time" MissingEffect "an update leaves the time of the last update as it was"
    UpdateRestartsOthers "update-restarts-others" WrongObject "an update restarts the pods of the user's other sessions"
    UpdateLabelsOthers "update-labels-others" WrongObject "an update labels the objects of the user's other sessions"
    UpdateUntagsOthers "update-untags-others" WrongObject "an update removes the tags of the user's other sessions"
    UpdateUndoneLater "update-undone-later" LostAfterRetry "two and a half seconds after an update, a stale write restores the old state"
    HibernatedPodLingers "hibernated-pod-lingers" ResponseWithoutEffect "a Deployment scaled to zero reports no pod, but the pod stays"
    WakeSecondPod "wake-second-pod" Duplicate "a session that wakes gets a second pod outside its Deployment"
    WakeWithoutService "wake-without-service" MissingEffect "hibernating deletes the Service, and waking does not create it again"
    WakeMovesAddress "wake-moves-address" WrongValue "a session that wakes has another address"
    WakeDropsResources "wake-drops-resources" WrongValue "the pod of a session that wakes has no resource limits"
    ServiceSelectsNothing "service-selects-nothing" WrongValue "the selector of a Service matches no pod"
    OrphansConfig "orphans-config" MissingEffect "a ConfigMap named after a session has neither owner nor labels, and stays"
    OrphansSecret "orphans-secret" MissingEffect "a Secret with a random name, which names its session in an annotation only, stays"
    OrphansPod "orphans-pod" MissingEffect "a pod without owner and labels, which names its session in its environment only, stays"
    DeleteTakesTemplate "delete-takes-template" WrongObject "a delete also deletes the session's template"
    DeleteTakesService "delete-takes-service" WrongObject "a delete also deletes the Service of the user's newest other session, which then gets a new one"
    DeleteTakesConnections "delete-takes-connections" WrongObject "a delete removes the connections of all the user's sessions"
    DeleteTakesAudit "delete-takes-audit" WrongObject "a delete removes the audit entries of the session"
    DeleteUntagsOthers "delete-untags-others" WrongObject "a delete removes the tags of the user's other sessions"
    DeleteUndoneLater "delete-undone-later" LostAfterRetry "a deleted session reappears two and a half seconds later"
    MissingUndoneLater "missing-undone-later" LostAfterRetry "two and a half seconds after a vanished object was noticed, the session is running again"
    MissingUntagsOthers "missing-untags-others" WrongObject "a vanished object removes the tags of the user's other sessions"
    ManualStateOnly "manual-state-only" MissingEffect "of manual changes to an object only the state reaches the row"
    ManualWithoutAddress "manual-without-address" MissingEffect "an adopted session has neither address nor pod"
    ManualOverwritten "manual-overwritten" WrongObject "adopting an object overwrites its resources"
    ManualDropsTimeouts "manual-drops-timeouts" WrongValue "an adopted session has no timeouts"
    ManualForgotten "manual-forgotten" LostAfterRetry "two and a half seconds after its adoption, the row of an object is deleted"

    // concurrency
    AddressesCollide "addresses-collide" WrongValue "all sessions of a user share one address"
    NamesCollide "names-collide" LostUnderConcurrency "sessions created at the same moment get the same name"
    CreateMixesUp "create-mixes-up" WrongObject "all concurrent creates return the session that was created last"
    CreateLost "create-lost" LostUnderConcurrency "a create within 50 ms of another is taken for a double click: accepted but not carried out"
    CreateTwice "create-twice" Duplicate "all concurrent creates except one are carried out twice"
    CreateRefused "create-refused" LostUnderConcurrency "all concurrent creates except the first return 500"
    DeleteLost "delete-lost" LostUnderConcurrency "all concurrent deletes except one are accepted and lost"
    DeleteResurrects "delete-resurrects" LostUnderConcurrency "all concurrent deletes except one are reverted by a late write"
    UpdateSplits "update-splits" LostUnderConcurrency "of concurrent updates, the last two reach the cluster in reverse order, and the row does not show it"
    ReadsTorn "reads-torn" LostUnderConcurrency "a list is read in pages, so rows that move between pages are missing or repeated"
    Deadlock "deadlock" LostUnderConcurrency "two concurrent updates wait for each other's lock, and all others for them"
    LostWakeup "lost-wakeup" EffectWithoutResponse "of many concurrent deletes waiting for the first, only one is notified; the others are done but never respond"
    OneAtATime "one-at-a-time" TooLate "concurrent creates are handled one after the other, 0.7 s each"
    CreateSharesResources "create-shares-resources" WrongObject "concurrent creates all get the resources of the last one"
    CreateSharesTags "create-shares-tags" WrongObject "concurrent creates all get the tags of the last one"
    DeleteTakesBystander "delete-takes-bystander" WrongObject "of many concurrent deletes, one also deletes the user's oldest session"
    DeleteLeavesService "delete-leaves-service" LostUnderConcurrency "concurrent deletes leave the Services of all sessions except one"
    UpdateLosesTags "update-loses-tags" LostUnderConcurrency "an update of the state writes back the tags that it read at its start"
    ReadsWait "reads-wait" TooLate "a list that meets a create waits six seconds"

    // the audit log
    AuditNothing "audit-nothing" MissingEffect "the audit log stays empty"
    AuditMissesDeletes "audit-misses-deletes" MissingEffect "deletes are not audited"
    AuditMissesReads "audit-misses-reads" MissingEffect "reads are not audited"
    AuditHidesReads "audit-hides-reads" OneStoreOnly "reads are in the audit table, but the API omits them"
    AuditTwice "audit-twice" Duplicate "every entry is written twice"
    AuditWithoutUser "audit-without-user" WrongValue "entries have no user"
    AuditWrongUser "audit-wrong-user" WrongObject "entries name the platform's own account instead of the caller"
    AuditWrongSession "audit-wrong-session" WrongObject "an update is audited under the template's name instead of the session's"
    AuditActionIsVerb "audit-action-is-verb" WrongValue "the action is the HTTP method, the resource type is the path, and the resource id is empty"
    AuditTimeWrongZone "audit-time-wrong-zone" WrongValue "timestamps are one hour off"
    AuditTimeOfWriting "audit-time-of-writing" TooLate "entries are written seconds late with the time of writing"
    AuditTimeByDay "audit-time-by-day" WrongValue "timestamps have no time of day"
    AuditLate "audit-late" TooLate "entries are readable a minute late"
    AuditFilterIgnoresAction "audit-filter-ignores-action" WrongValue "the filter `action` is ignored"
    AuditFilterIgnoresUser "audit-filter-ignores-user" WrongValue "the filter `user` is ignored"
    AuditFilterIgnoresResource "audit-filter-ignores-resource" WrongValue "the filter `resource` is ignored"
    AuditFilterIgnoresTime "audit-filter-ignores-time" WrongValue "the filters `from` and `to` are ignored"
    AuditFilterWrongZone "audit-filter-wrong-zone" WrongValue "the filters `from` and `to` are shifted by one hour"
    AuditFiltersWiden "audit-filters-widen" WrongValue "filters are combined with `or` instead of `and`"
    AuditLimitFirst "audit-limit-first" MissingEffect "the limit is applied before the filters"
    AuditTotalOfPage "audit-total-of-page" WrongValue "`total` counts the entries of the page"
    AuditTellsPassword "audit-tells-password" InformationLeak "the audit log contains the password of a failed login"
    AuditTellsToken "audit-tells-token" InformationLeak "the audit log contains the token issued by a login"
    AuditTellsQuery "audit-tells-query" InformationLeak "the audit log contains query strings with their values"
    AuditTellsEncoded "audit-tells-encoded" WrongValue "the audit log contains the login body in base64, where masking does not find its values"
    AuditKeepsHeaders "audit-keeps-headers" OneStoreOnly "the audit API masks request headers, but the table stores them in the clear"
    LogTellsPassword "log-tells-password" InformationLeak "the log contains the password of a failed login"
    LogTellsQuery "log-tells-query" InformationLeak "the log contains query strings"
    AuditMissesTags "audit-misses-tags" MissingEffect "updates of tags are not audited"
    AuditMergesRepeats "audit-merges-repeats" MissingEffect "an operation that repeats the previous one on a session is not audited"
    AuditForgetsDeleted "audit-forgets-deleted" LostAfterRetry "the entries of a session are removed a second after its delete"
    AuditTimeOfCreation "audit-time-of-creation" WrongValue "all entries of a session have the time of its creation"
    AuditStoresWrongZone "audit-stores-wrong-zone" OneStoreOnly "timestamps are one hour off in the table; the API corrects them"
    AuditFilterPrefix "audit-filter-prefix" WrongValue "the filter `resource` matches beginnings of names"
    AuditFilterUserPrefix "audit-filter-user-prefix" WrongValue "the filter `user` matches beginnings of names"
    AuditFilterActionPart "audit-filter-action-part" WrongValue "the filter `action` matches parts of actions"
    AuditFilterOnlyDeletes "audit-filter-only-deletes" WrongValue "the filter `action` finds deletes whatever it is"
    AuditFilterActionAlone "audit-filter-action-alone" WrongValue "the filter `action` is ignored if `user` is given"
    AuditFilterToAlone "audit-filter-to-alone" WrongValue "the filter `to` is ignored if `from` is given"
    AuditTotalOfTable "audit-total-of-table" WrongValue "`total` counts all entries of the table"
    AuditTellsBeginning "audit-tells-beginning" InformationLeak "the audit log contains the first 12 characters of the password of a failed login"
    AuditKeepsOtherHeaders "audit-keeps-other-headers" InformationLeak "the audit log contains all request headers except Authorization"
    AuditMasksPasswordOnly "audit-masks-password-only" InformationLeak "the audit log contains request bodies, in which only fields named `password` are masked"
    AuditTellsWebhookSecret "audit-tells-webhook-secret" InformationLeak "the audit log contains the secrets of new webhooks"
    LogTellsBeginning "log-tells-beginning" InformationLeak "the log contains the first 12 characters of bearer tokens"
    LogTellsHeaders "log-tells-headers" InformationLeak "the log contains all request headers except Authorization"
    LogTellsMalformed "log-tells-malformed" InformationLeak "the log contains request bodies that are no JSON"

    // webhooks
    WebhookCreateFails "webhook-create-fails" WrongValue "creating a webhook returns 500, because its creator is not set"
    WebhookNotKept "webhook-not-kept" ResponseWithoutEffect "creating a webhook returns 201 but does not store it"
    WebhookSilent "webhook-silent" MissingEffect "nothing is ever delivered"
    WebhookLate "webhook-late" TooLate "a delivery is sent six seconds after the event"
    WebhookOneByOne "webhook-one-by-one" TooLate "a delivery is sent only after the previous one has ended"
    WebhookTwice "webhook-twice" Duplicate "every delivery is sent twice"
    WebhookAllEvents "webhook-all-events" WrongObject "every webhook receives every event"
    WebhookDisabledHears "webhook-disabled-hears" WrongObject "a disabled webhook still receives events"
    WebhookRemovedHears "webhook-removed-hears" ResponseWithoutEffect "a deleted webhook is no longer listed but still receives events"
    WebhookTellsRefused "webhook-tells-refused" EffectWithoutResponse "a refused create is reported as `session.created`"
    WebhookWrongEvent "webhook-wrong-event" WrongValue "`session.created` is delivered as `session.create`"
    WebhookOtherSession "webhook-other-session" WrongObject "the payload describes the user's oldest session"
    WebhookThin "webhook-thin" MissingEffect "the payload contains only the name"
    WebhookDefaultResources "webhook-default-resources" WrongValue "the payload contains the default resources instead of the session's"
    WebhookWrongZone "webhook-wrong-zone" WrongValue "the payload's timestamp is one hour off"
    WebhookUnsigned "webhook-unsigned" MissingEffect "deliveries have no signature"
    WebhookSignsOtherBytes "webhook-signs-other-bytes" WrongValue "the signature covers re-serialised JSON instead of the bytes sent"
    WebhookSignsBase64 "webhook-signs-base64" WrongValue "the signature is in base64 instead of hex"
    WebhookWrongSecret "webhook-wrong-secret" WrongObject "the signature uses the oldest webhook's secret"
    WebhookOneSecret "webhook-one-secret" WrongObject "all webhooks have the same secret"
    WebhookRetryUnsigned "webhook-retry-unsigned" LostAfterRetry "a retry has the signature of an empty body"
    WebhookRetryChanges "webhook-retry-changes" LostAfterRetry "a retry adds its number to the body, so its bytes differ from the first attempt's"
    WebhookNoRetry "webhook-no-retry" MissingEffect "a failed delivery is not retried"
    WebhookNoRetryUnanswered "webhook-no-retry-unanswered" MissingEffect "a delivery without a response is not retried"
    WebhookRetriesOnce "webhook-retries-once" LostAfterRetry "a delivery is given up after one retry"
    WebhookRetriesAtOnce "webhook-retries-at-once" WrongValue "retries follow without a delay"
    WebhookRetriesForEver "webhook-retries-for-ever" Duplicate "a failing delivery is retried without end"
    WebhookRetriesRefusals "webhook-retries-refusals" Duplicate "a delivery refused with 400 is retried"
    WebhookRetriesSuccess "webhook-retries-success" Duplicate "a delivery that succeeded after a retry is sent once more"
    WebhookRetriesSome5xx "webhook-retries-some-5xx" LostAfterRetry "only 500 and 503 are retried, not the other 5xx"
    WebhookNoRetryReset "webhook-no-retry-reset" LostAfterRetry "a delivery whose connection is reset is not retried"
    WebhookRetriesGone "webhook-retries-gone" Duplicate "a delivery refused with 404 or 410 is retried"
    WebhookSuccessOnly200 "webhook-success-only-200" Duplicate "a delivery answered with 201 or 202 is retried"
    WebhookRetriesLate "webhook-retries-late" TooLate "each retry waits six seconds longer than configured"
    WebhookRetryNewId "webhook-retry-new-id" LostAfterRetry "a retry has another delivery id"
    WebhookRetryWithoutEvent "webhook-retry-without-event" LostAfterRetry "a retry lacks the header with the event"
    WebhookRetryAsText "webhook-retry-as-text" LostAfterRetry "a retry is labelled as plain text"
    WebhookRetryWrongSecret "webhook-retry-wrong-secret" LostAfterRetry "a retry is signed with the oldest webhook's secret"
    WebhookRepeatsLater "webhook-repeats-later" Duplicate "a successful delivery is sent again three seconds later"
    WebhookDisabledHearsLate "webhook-disabled-hears-late" WrongObject "a disabled webhook receives events three seconds late"
    WebhookAllEventsLate "webhook-all-events-late" WrongObject "webhooks of other events receive events three seconds late"
    WebhookRemovedRetries "webhook-removed-retries" ResponseWithoutEffect "a failed delivery is retried although its webhook was deleted"
    WebhookRemovesAlike "webhook-removes-alike" WrongObject "deleting a webhook deletes all of the same name"
    WebhookOnlyFirstEvent "webhook-only-first-event" MissingEffect "a webhook receives only its first event"
    WebhookStopsAfterFailure "webhook-stops-after-failure" LostAfterRetry "after a delivery was given up, nothing is delivered"
    WebhookDropsUnsteady "webhook-drops-unsteady" LostAfterRetry "an endpoint that failed once receives no further event, even if a retry succeeded"
    WebhookSkipsOldest "webhook-skips-oldest" MissingEffect "the oldest of several webhooks receives nothing"
    WebhookLastPayload "webhook-last-payload" WrongObject "the newest of several webhooks receives the data of the user's oldest session"
    WebhookLastUnsigned "webhook-last-unsigned" WrongValue "the newest of several webhooks is signed with an empty secret"
    WebhookWrongState "webhook-wrong-state" WrongValue "the payload says that the new session is hibernated"
    WebhookCreatedOnUpdate "webhook-created-on-update" Duplicate "an update of a session is delivered as `session.created`"
}

/// The known bugs of StreamSpace at commit 583a9f9, as far as TP-004 touches them. `docs/sandbox.md` lists the
/// sentences of TP-004 that they break.
pub const AS_BUILT: &[Defect] = &[
    Defect::RunningBeforePod,   // the phase is written before any pod is ready
    Defect::MissingUnnoticed,   // vanished objects are not watched for
    Defect::ManualIgnored,      // a status update for a session without a row changes nothing
    Defect::WebhookCreateFails, // `created_by` is read from a key that is never set
    Defect::WebhookSilent,      // only the test route calls the delivery
    Defect::AuditActionIsVerb,  // a middleware writes method and path
    Defect::DatabaseDown401,    // the caller is looked up in the database
    Defect::ClusterDown400,     // a template that cannot be read counts as missing
    Defect::LogTellsQuery,      // the access log has the query string
];

/// The defects that are switched on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Defects([u128; 3]);

impl Defects {
    pub fn has(self, defect: Defect) -> bool {
        let n = defect as usize;
        self.0[n / 128] & (1 << (n % 128)) != 0
    }

    pub fn with(mut self, defect: Defect) -> Defects {
        let n = defect as usize;
        self.0[n / 128] |= 1 << (n % 128);
        self
    }

    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Defect::ALL.iter().filter(move |d| self.has(**d)).map(|d| d.name())
    }
}

impl FromIterator<Defect> for Defects {
    fn from_iter<I: IntoIterator<Item = Defect>>(defects: I) -> Defects {
        defects.into_iter().fold(Defects::default(), Defects::with)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown defect `{0}`")]
pub struct UnknownDefect(pub String);

impl std::str::FromStr for Defect {
    type Err = UnknownDefect;

    fn from_str(name: &str) -> Result<Defect, UnknownDefect> {
        Defect::ALL.iter().copied().find(|d| d.name() == name).ok_or_else(|| UnknownDefect(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_and_bits_are_unique() {
        let names: HashSet<_> = Defect::ALL.iter().map(|d| d.name()).collect();
        assert_eq!(names.len(), Defect::ALL.len());
        assert!(Defect::ALL.len() <= 384);
        for (n, defect) in Defect::ALL.iter().enumerate() {
            let only: Defects = [*defect].into_iter().collect();
            assert_eq!(only.names().collect::<Vec<_>>(), [defect.name()]);
            assert_eq!(defect.name().parse(), Ok(*defect));
            assert_eq!(*defect as usize, n);
        }
    }
}
