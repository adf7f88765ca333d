"""Words of the model card: key → (Chinese, English)."""

from __future__ import annotations

import re

from federated.governance.manifest import PRIVACY_NONE, PRIVACY_SHARES
from federated.words import Language, Words

_PAIRS: dict[str, tuple[str, str]] = {
    "title": ("模型卡", "Model card"),
    "details": ("模型详情", "Model details"),
    "intended_use": ("预期用途", "Intended use"),
    "factors": ("相关因素", "Factors"),
    "metrics": ("指标", "Metrics"),
    "evaluation_data": ("评估数据", "Evaluation data"),
    "training_data": ("训练数据", "Training data"),
    "analyses": ("定量分析", "Quantitative analyses"),
    "ethics": ("伦理与公平", "Ethical considerations"),
    "caveats": ("注意事项", "Caveats and recommendations"),
    "not_measured": ("未测量", "not measured"),
    "none": ("无", "none"),
    "yes": ("是", "yes"),
    "no": ("否", "no"),
    # model details
    "version": ("版本", "Version"),
    "created_at": ("训练时间", "Trained at"),
    "registered_by": ("登记方", "Registered by"),
    "status": ("状态", "Status"),
    "role": ("角色", "Role"),
    "approved_by": ("审批方", "Approved by"),
    "valid_until": ("审批有效至", "Approved until"),
    "learners": ("学习器", "Learners"),
    "offered": ("用于评分", "What scores"),
    "offered.joint": ("联合模型，银行列与供电公司列", "the joint model, of banks' and grid companies' columns"),
    "offered.bank_only": (
        "仅用银行列的伴随模型，因为联合模型在留出客户上更差：Brier 含供电公司列为 {joint}，不含为 {alone}",
        "the companion, of banks' columns alone, because the joint model is worse on held-out customers: Brier {joint} "
        "with grid companies' columns, {alone} without",
    ),
    "offered.untold": ("未说明", "not stated"),
    "explanation": ("解释方法", "Explanation"),
    "explanation.exact": (
        "加性函数的 Shapley 值，闭式精确；双方交互另为一项",
        "Shapley values of additive functions, exact in closed form; interactions of both parties are one item more",
    ),
    "explanation.sampled": ("对特征次序抽样", "sampled orders of features"),
    "schema": ("特征规范", "Feature schema"),
    "seed": ("随机种子", "Seed"),
    "weights": ("权重 SHA-256", "SHA-256 of the weights"),
    "history": ("记录", "On record"),
    "number": ("序号", "No."),
    "at": ("时间", "Time"),
    "by": ("机构", "By"),
    "event": ("事项", "What"),
    "note": ("说明", "Note"),
    "kind.registered": ("登记", "registered"),
    "kind.endorsed": ("同意", "endorsed"),
    "kind.approved": ("批准", "approved"),
    "kind.rejected": ("否决", "rejected"),
    "kind.nominated": ("提名", "nominated"),
    "kind.appointed": ("任命", "appointed"),
    "kind.withdrawn": ("撤下挑战者", "withdrawn as challenger"),
    "kind.rolled_back": ("回滚至此", "rolled back to"),
    "kind.retired": ("退役", "retired"),
    "status.registered": ("待审批", "awaiting approval"),
    "status.approved": ("已批准", "approved"),
    "status.expired": ("审批已到期", "approval lapsed"),
    "status.rejected": ("已否决", "rejected"),
    "status.retired": ("已退役", "retired"),
    "role.champion": ("冠军（用于评分）", "champion: it scores"),
    "role.challenger": ("挑战者（影子评分）", "challenger: it scores in shadow"),
    # intended use
    "purpose": ("所依据的授权用途", "Consent that training rests on"),
    "purpose.credit_application": ("贷款申请", "credit application"),
    "purpose.loan_review": ("贷后管理", "loan review"),
    "purpose.model_training": ("模型训练", "model training"),
    "use_text": (
        "供参与银行评估本行、经本人授权的客户的违约概率。评分是一项依据，不单独决定授信；不用于未授权的客户，"
        "也不用于信贷以外的用途。",
        "For the participating banks, to estimate the probability of default of their own customers who consented. A "
        "score is one input and decides no loan by itself; it is not for customers without consent, nor for anything "
        "but credit.",
    ),
    "cut_off": ("评分分界", "Cut-off score"),
    # factors
    "segment": ("分组维度", "Segment"),
    "segments": ("分组维度", "Segments"),
    "group": ("组别", "Group"),
    "columns": ("使用的列", "Columns used"),
    "excluded": ("排除的列", "Columns left out"),
    "party.bank": ("银行", "bank"),
    "party.grid": ("供电公司", "grid company"),
    "segment.bank": ("银行", "bank"),
    "segment.relationship": ("合作年限", "years with the bank"),
    "segment.self_generation": ("自有光伏", "own photovoltaics"),
    "segment.sex": ("性别", "sex"),
    "segment.marriage": ("婚姻", "marital status"),
    "segment.age": ("年龄", "age"),
    "group.relationship.under 2 years": ("不满 2 年", "under 2 years"),
    "group.relationship.2-8 years": ("2–8 年", "2–8 years"),
    "group.relationship.over 8 years": ("8 年以上", "over 8 years"),
    "group.self_generation.no own plant": ("没有电站", "no own plant"),
    "group.self_generation.own plant": ("有电站", "own plant"),
    "group.sex.male": ("男", "male"),
    "group.sex.female": ("女", "female"),
    "group.marriage.unknown": ("不详", "unknown"),
    "group.marriage.married": ("已婚", "married"),
    "group.marriage.single": ("未婚", "single"),
    "group.marriage.other": ("其他", "other"),
    "group.age.30 and under": ("30 岁及以下", "30 and under"),
    "group.age.31-40": ("31–40 岁", "31–40"),
    "group.age.41-50": ("41–50 岁", "41–50"),
    "group.age.over 50": ("50 岁以上", "over 50"),
    # metrics
    "metrics_text": (
        "AUC 与 KS 衡量区分能力；Brier 与 ECE（期望校准误差）衡量概率是否可信，越小越好。均在留出数据上测得，"
        "拟合所用客户见下。",
        "AUC and KS say how well the score separates; Brier and ECE (expected calibration error) how far its "
        "probabilities can be trusted, smaller being better. All are of held-out rows; which models they are of "
        "the training data say.",
    ),
    "fairness_text": (
        "影响比为该组通过率与最高组之比。仅当影响比低于 0.8 且差异显著（p < 0.05）时标记（五分之四规则，"
        "29 CFR 1607.4(D)）；机会差为按期还款者通过率之差。少于 30 行不作判断。",
        "The impact ratio is a group's approval rate over the highest group's. A group is flagged only if the ratio is "
        "under 0.8 and the difference significant (p < 0.05; four-fifths rule, 29 CFR 1607.4(D)). Opportunity is the "
        "difference of approval among those that paid. Below 30 rows nothing is said.",
    ),
    "drift_text": (
        "PSI 衡量评分分布相对登记时的变化；仅当 PSI 较大且显著（p < 0.01）时才称为漂移，少于 100 行不作判断。",
        "PSI measures how far scores have moved from those at registration. It is called drift only if large and "
        "significant (p < 0.01); below 100 rows nothing is said.",
    ),
    # data
    "folds": ("留出折（共五折）", "Folds held out, of five"),
    "fitted_on": ("拟合所用客户", "Fitted on"),
    "fitted_on.all": (
        "全部训练客户，未留出任何人；指标来自以同样方式、每次留出一折所拟合的模型",
        "all training customers, nobody held out; figures are of models fitted in the same way, each without one fold",
    ),
    "fitted_on.fold": ("除所示留出折以外的训练客户", "the training customers outside the fold held out"),
    "rows": ("行数", "Rows"),
    "origin.generated": ("程序生成", "generated"),
    "origin.taiwan-default-credit-2005": (
        "中国台湾信用卡客户，2005 年（taiwan-default-credit-2005）",
        "credit card clients in Taiwan, 2005 (taiwan-default-credit-2005)",
    ),
    "origin": ("数据来源", "Origin of the data"),
    "participants": ("参与方", "Participants"),
    "aligned": ("对齐行数", "Aligned rows"),
    "pair": ("双方", "Pair"),
    "party": ("参与方", "Party"),
    "data_hash": ("数据 SHA-256", "SHA-256 of its data"),
    # analyses
    "model": ("模型", "Model"),
    "model.federated": ("联邦：银行与供电公司", "federated, bank and grid"),
    "model.bank_only": ("联邦：仅银行", "federated, banks only"),
    "model.label_holder_only": ("XGBoost：仅银行数据", "XGBoost, bank data only"),
    "model.xgboost": ("XGBoost：集中全部数据", "XGBoost, all data pooled"),
    "figure.method": ("方法", "method"),
    "figure.own": ("单独校准的银行", "banks with a line of their own"),
    "figure.ece.none": ("ECE，不校准", "ECE, uncalibrated"),
    "figure.ece.platt": ("ECE，Platt 校准", "ECE, Platt"),
    "figure.ece.isotonic": ("ECE，保序校准", "ECE, isotonic"),
    "method.none": ("不校准", "none"),
    "method.platt": ("Platt 校准", "Platt"),
    "method.isotonic": ("保序校准", "isotonic"),
    "figure": ("数值项", "Figure"),
    "value": ("数值", "Value"),
    "calibration": ("概率校准", "Calibration"),
    "by_segment": ("分组结果", "By segment"),
    "defaults": ("违约", "Defaults"),
    "approved": ("通过", "Approved"),
    "score_drift": ("评分漂移", "Drift of scores"),
    "basis": ("评分依据", "Basis"),
    "basis.joint": ("联合", "joint"),
    "basis.bank_only": ("仅银行", "bank only"),
    "p_value": ("p 值", "p-value"),
    "verdict": ("结论", "Verdict"),
    "verdict.stable": ("稳定", "stable"),
    "verdict.watch": ("关注", "watch"),
    "verdict.drifted": ("已漂移", "drifted"),
    "verdict.too_few": ("样本不足", "too few rows"),
    # ethics
    "fairness": ("各组比较", "Groups beside each other"),
    "benchmark": ("对照组", "Compared with"),
    "approval_rate": ("通过率", "Approval rate"),
    "impact_ratio": ("影响比", "Impact ratio"),
    "opportunity": ("机会差", "Opportunity"),
    "calibration_gap": ("校准差", "Calibration gap"),
    "flagged": ("标记", "Flagged"),
    "privacy": ("隐私", "Privacy"),
    "privacy_spent": ("隐私预算 ε", "Privacy spent, ε"),
    "privacy_none": (
        "未使用隐私预算：该版本的训练没有安全聚合，也没有差分隐私；汇总数、残差与部分分值未加保护地发给网络运营方与另一方。",
        PRIVACY_NONE,
    ),
    "privacy_shares": (
        "受保护训练：银行与电网公司之间以秘密分享计算残差，各方之和经安全聚合；网络运营方只见汇总数，任何一方都读不到另一方的单行数据。未使用差分隐私，没有消耗隐私预算。",
        PRIVACY_SHARES,
    ),
    "consent_text": (
        "训练与评分只涉及授权在有效期内的客户；授权可随时撤回，撤回后不再评分，但已训练的模型保留所学。",
        "Only customers whose consent is in force enter training and scoring. Consent can be withdrawn at any time: "
        "scoring stops, while a model trained before keeps what it learnt.",
    ),
    # caveats
    "generated_text": (
        "全部数据为程序生成，数值只说明方法，不说明任何真实客户群。",
        "All data are generated: the figures show the method and say nothing of any real population.",
    ),
    "origin_text": (
        "数值只对上述来源的数据成立，用于其他人群前须重新验证。",
        "The figures hold for data of the origin above; another population needs validation of its own.",
    ),
    "one_logit_text": (
        "各方各出一个分值相加；银行列与供电公司列之间的交互，只有在各方列上秘密分享训练的默认模型能表达，"
        "且限于双方前若干主成分之积（四个因子），作为一项理由给出，不再分摊到各列。",
        "Each party contributes one logit and these are summed. Interactions between bank and grid columns are in "
        "reach of the default alone, which is trained on shares: as products of both sides' first components, of four "
        "factors. They are one reason, which is split between no columns.",
    ),
    "yearly_text": (
        "审批一年有效，到期未重新审批则停止评分。",
        "An approval lasts a year; without a new one, scoring stops.",
    ),
}
TEXTS = Words(_PAIRS)


def segment_name(segment: str, language: Language) -> str:
    """What a segment is called; its own name where no words are on hand."""
    return TEXTS.text_or(language, f"segment.{segment}", segment)


def group_name(segment: str, group: str, language: Language) -> str:
    """What a group of a segment is called; its own name where no words are on hand."""
    return TEXTS.text_or(language, f"group.{segment}.{group}", group)


STATEMENTS = {PRIVACY_NONE: "privacy_none", PRIVACY_SHARES: "privacy_shares"}


def privacy_text(statement: str, language: Language) -> str:
    """A manifest's statement of privacy in the reader's language; one that is not known stays as it was written."""
    return TEXTS.text(language, STATEMENTS[statement]) if statement in STATEMENTS else statement


# As `candidates.offered` words it.
COMPANION_OFFERED = re.compile(
    r"bank_only: held-out Brier (?P<joint>[\d.]+) with grid companies, (?P<alone>[\d.]+) without"
)


def offered_text(offered: object, language: Language) -> str:
    """Whether a version scores jointly or with its companion, and why; what is not known stays as it was written."""
    if offered is None:
        return TEXTS.text(language, "offered.untold")
    if offered == "joint":
        return TEXTS.text(language, "offered.joint")
    told = COMPANION_OFFERED.fullmatch(str(offered))
    return str(offered) if told is None else TEXTS.text(language, "offered.bank_only", **told.groupdict())
