"""What SageMaker may answer that is not the usual: each has an end, and none is a success."""

from datetime import UTC, datetime

import pytest
from botocore.stub import Stubber
from moto import mock_aws

from gates.canary.stores.s3 import S3Store
from gates.canary.targets.sagemaker.config import prefix, with_variants
from gates.canary.targets.sagemaker.endpoint import Endpoint, Pace, only_these, shares
from gates.canary.targets.sagemaker.options import SageMaker
from gates.errors import EnvironmentFault, InputError
from tests.canary.sagemaker_cloud import cloud, image, session, variant

THEN = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
CONFIG = {"EndpointConfigName": "by-hand", "ProductionVariants": [variant("AllTraffic", "old")]}


@pytest.fixture
def stub():
    client = session().client("sagemaker")
    with Stubber(client) as stub:
        yield stub


def endpoint(stub):
    return Endpoint(client=stub.client, name="credit", pace=Pace(every=0.001, deadline=0.05))


def described(name, model="new"):
    return {
        "EndpointConfigName": name, "EndpointConfigArn": "arn:aws:sagemaker:us-east-1:123456789012:endpoint-config/x",
        "CreationTime": THEN, "ProductionVariants": [variant("AllTraffic", model)],
    }  # fmt: skip


def wanted():
    return with_variants("credit", CONFIG, [variant("AllTraffic", "new")])


def test_a_configuration_that_is_there_already_is_used(stub):
    stub.add_client_error("create_endpoint_config", "ValidationException", "already existing")
    stub.add_response("describe_endpoint_config", described(wanted().name))
    stub.add_response("describe_endpoint_config", described(wanted().name))
    endpoint(stub).create(wanted())
    stub.assert_no_pending_responses()


def test_a_configuration_of_that_name_with_another_model_is_not(stub):
    stub.add_client_error("create_endpoint_config", "ValidationException", "already existing")
    stub.add_response("describe_endpoint_config", described(wanted().name, "other"))
    stub.add_response("describe_endpoint_config", described(wanted().name, "other"))
    with pytest.raises(EnvironmentFault, match="other variants than were asked for"):
        endpoint(stub).create(wanted())


def test_a_configuration_that_can_not_be_made_is_a_fault(stub):
    stub.add_client_error("create_endpoint_config", "ValidationException", "no such model")
    stub.add_client_error("describe_endpoint_config", "ValidationException", "no such thing")
    with pytest.raises(EnvironmentFault, match="ValidationException") as caught:
        endpoint(stub).create(wanted())
    assert caught.value.output == "no such model"


def test_too_many_requests_are_a_fault_and_no_configuration(stub):
    stub.add_client_error("create_endpoint_config", "ThrottlingException", "slower")
    with pytest.raises(EnvironmentFault, match="ThrottlingException"):
        endpoint(stub).create(wanted())


def test_names_of_configurations_keep_to_what_sagemaker_allows():
    for deployment in ("credit", "Ünïcode / model", "-", "x" * 200, "a--b"):
        name = with_variants(deployment, CONFIG, []).name
        assert len(name) <= 63
        assert name.startswith(prefix(deployment))
        SageMaker(endpoint=name, bucket="rollouts")  # the same pattern
    assert prefix("a b") != prefix("a-b")


def test_no_two_steps_share_a_name():
    one = with_variants("credit", CONFIG, [variant("AllTraffic", "new")])
    two = with_variants(
        "credit", {**CONFIG, "EndpointConfigName": "x"}, [variant("AllTraffic", "new")]
    )
    assert one.name != two.name
    assert one == wanted()


def test_what_an_endpoint_has_beside_its_variants_is_carried_over():
    capture = {"InitialSamplingPercentage": 10, "DestinationS3Uri": "s3://b/x"}
    config = {**CONFIG, "DataCaptureConfig": capture, "KmsKeyId": "k", "CreationTime": THEN}
    request = with_variants("credit", config, []).request
    assert (request["DataCaptureConfig"], request["KmsKeyId"]) == (capture, "k")
    assert "CreationTime" not in request


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"ShadowProductionVariants": [variant("s", "new")]}, "shadow"),
        ({"AsyncInferenceConfig": {"OutputConfig": {}}}, "asynchronous"),
        (
            {"ProductionVariants": [{"VariantName": "AllTraffic", "ServerlessConfig": {}}]},
            "serverless",
        ),
    ],
)
def test_what_has_no_traffic_to_be_shared_is_refused(more, message):
    with pytest.raises(InputError, match=message):
        only_these({**CONFIG, **more}, {"AllTraffic"})


@pytest.mark.parametrize(
    "weights", [[{"CurrentWeight": 0.0}, {"CurrentWeight": 0.0}], [{"CurrentWeight": 1.0}, {}]]
)
def test_weights_that_say_nothing_are_no_share(weights):
    every = [{"VariantName": name, **w} for name, w in zip("ab", weights, strict=True)]
    with pytest.raises(EnvironmentFault, match="does not say which part"):
        shares({"EndpointName": "credit", "ProductionVariants": every})


@pytest.fixture
def made():
    with mock_aws():
        world = cloud()
        world.aws.s3.create_bucket(Bucket="models")
        yield world


def opened(made):
    options = SageMaker(endpoint="credit", bucket="models", latency=False)
    return options.opened("credit", made.aws, every=0.001, deadline=1.0)


def model(made, **container):
    made.aws.sagemaker.create_model(
        ModelName="odd", PrimaryContainer={"Image": image("a"), **container}
    )
    return opened(made)


def source(uri, kind="S3Prefix"):
    return {"S3DataSource": {"S3Uri": uri, "S3DataType": kind, "CompressionType": "None"}}


def test_a_folder_of_model_data_is_pinned_file_by_file(made):
    made.aws.s3.put_object(Bucket="models", Key="m/a", Body=b"1")
    made.aws.s3.put_object(Bucket="models", Key="m/b", Body=b"2")
    site = model(made, ModelDataSource=source("s3://models/m/"))
    before = site.pin("odd")
    assert before.artifact is None
    made.aws.s3.put_object(Bucket="models", Key="m/c", Body=b"3")
    assert site.pin("odd").digest != before.digest


def test_a_folder_without_files_is_no_model(made):
    with pytest.raises(InputError, match="no file"):
        model(made, ModelDataSource=source("s3://models/none/")).pin("odd")


def test_model_data_that_is_not_there_is_a_fault(made):
    with pytest.raises(EnvironmentFault, match="look at the model data: 404"):
        model(made, ModelDataUrl="s3://models/none").pin("odd")


def test_model_data_at_another_kind_of_address_is_refused(made):
    with pytest.raises(InputError, match="no address of the form"):
        model(made, ModelDataUrl="https://models.example/m").pin("odd")


def test_a_container_for_many_models_is_refused(made):
    with pytest.raises(InputError, match="many models"):
        model(made, Mode="MultiModel", ModelDataUrl="s3://models/m/").pin("odd")


def test_two_containers_are_one_digest_of_both(made):
    for name, letters in (("ab", "ab"), ("ba", "ba")):
        made.aws.sagemaker.create_model(
            ModelName=name, Containers=[{"Image": image(letter)} for letter in letters]
        )
    site = opened(made)
    assert site.pin("ab").digest != site.pin("ba").digest
    assert site.pin("ab").digest == site.pin("ab").digest


def test_a_model_that_is_not_there_is_a_fault(made):
    with pytest.raises(EnvironmentFault, match="describe the model"):
        opened(made).pin("none")


def test_a_share_without_a_canary_is_refused(made):
    with pytest.raises(EnvironmentFault, match="no variant model-gates-canary"):
        opened(made).ensure_share(5)
    assert made.changes == []


def test_an_out_without_a_canary_changes_nothing(made):
    opened(made).ensure_out()
    opened(made).ensure_removed()
    assert made.changes == []


def test_the_journal_lies_in_the_options_bucket_under_the_deployments_name(made):
    site = opened(made)
    site.store.acquire("first", 60)
    keys = [item["Key"] for item in made.aws.s3.list_objects_v2(Bucket="models")["Contents"]]
    assert f"model-gates/{prefix('credit')[:-1]}/state" in keys
    assert isinstance(site.store, S3Store)


def test_a_journal_that_was_begun_though_its_answer_was_lost_is_begun_once(made):
    store = opened(made).store
    lease = store.acquire("first", 60)
    for _ in range(2):
        store.begin(b"{}\n", lease.token)
    assert list(store.earlier()) == []
    assert store.read() == b"{}\n"
